"""The command line: spendgate up, chat, report and the rest."""
