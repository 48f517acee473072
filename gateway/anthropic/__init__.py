"""Anthropic's Messages API: its JSON and the fleet's messages, both ways."""
