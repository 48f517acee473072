"""Whether an answer given to one question may be served for another."""
