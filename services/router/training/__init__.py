"""Makes the shipped prior. Nothing here runs in the service."""
