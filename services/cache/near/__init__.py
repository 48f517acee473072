"""Finds answers to prompts that ask for the same in other words."""
