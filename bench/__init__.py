"""Measurements: what a thing costs on this machine, never a pass or fail."""
