"""Where a text may be cut, and cutting it."""
