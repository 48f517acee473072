"""What pictures and sound cost in tokens."""
