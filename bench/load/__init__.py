"""Load on the whole fleet, and on its peers, in one run."""
