"""How fast callers may call: requests and tokens a minute, calls at once."""
