"""Fewer tokens for the same meaning: one rule family a file."""
