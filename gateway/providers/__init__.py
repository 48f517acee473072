"""What the gateway asks of a provider, and the adapters that ask it."""
