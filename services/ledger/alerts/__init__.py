"""Alerts: raised with the books, delivered until they arrive."""
