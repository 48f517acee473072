"""The door: what backends call instead of a provider."""
