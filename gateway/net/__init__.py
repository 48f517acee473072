"""Which addresses the gateway connects to."""
