"""Questions whose answer depends on who asks, or when."""

from services.cache.semantic.guards.lexicon import PERSONAL, PRESENT, TIME_WORDS
from services.cache.semantic.guards.reading import Reading


def depends_on_owner(text: Reading) -> bool:
    """True for "my order" and "what is open now"."""
    return not text.words.isdisjoint(PERSONAL | TIME_WORDS | PRESENT) or "right now" in text.lower


def scope_agrees(a: Reading, b: Reading) -> bool:
    """Both speak of today, or neither. "Now" and "currently" say what a question means anyway."""
    return (a.words & TIME_WORDS) == (b.words & TIME_WORDS)
