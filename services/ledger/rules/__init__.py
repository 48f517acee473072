"""The rules of the books: pure, without clock, IO or database."""
