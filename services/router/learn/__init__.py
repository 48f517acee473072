"""Predicts how well each model will answer: arrays in, arrays out, numpy only."""
