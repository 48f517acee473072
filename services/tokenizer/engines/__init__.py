"""Who counts: tiktoken, the definition of exact, and a faster engine that is checked against it."""
