"""Picks the model, says why and what it will cost."""
