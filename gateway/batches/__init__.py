"""Batch jobs: files of requests that may wait, answered for less."""
