"""What of a conversation is sent again: the cheapest that loses nothing it must not."""
