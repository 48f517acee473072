"""Reading the books: sums, rows, what the insights are made from."""
