"""The HTTP door: OpenAI's and Anthropic's APIs."""
