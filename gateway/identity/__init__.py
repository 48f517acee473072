"""Who calls: by virtual key, or by a token that somebody else has signed."""
