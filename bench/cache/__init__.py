"""What the cache costs and how good it is."""
