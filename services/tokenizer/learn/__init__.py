"""Ratios learned from what providers report for calls that were counted here."""
