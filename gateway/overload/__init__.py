"""How much work the gateway takes on at once, and whose."""
