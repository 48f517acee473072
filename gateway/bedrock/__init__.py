"""AWS Bedrock's Converse: its JSON and Anthropic's, its framing of streams, its signatures.

Converse says the same things as Anthropic's Messages API under other names, so that is what it is
translated from and to.
"""
