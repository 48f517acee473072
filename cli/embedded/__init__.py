"""What `spendgate up` runs on one machine: the five services and what they stand on."""
