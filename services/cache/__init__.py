"""Finds answers that were already paid for."""
