"""Counts what a model will be asked to read."""
