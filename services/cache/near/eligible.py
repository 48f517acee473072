"""Which prompts may have another prompt's answer at all. Everybody else: the very same only."""

from services.cache.fingerprint import Names
from services.cache.near.embedder import Embedder
from services.cache.semantic.decide import Decision


def skipped(names: Names, embedder: Embedder, decision: Decision) -> str:
    """Why there is no semantic look-up, a lower-case word; "" when there is one."""
    if not names.context:
        return "shape"
    if embedder.exact_only(names.text, decision):
        return "exact_only"
    return ""
