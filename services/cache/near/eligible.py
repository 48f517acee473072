"""Which prompts may have another prompt's answer at all. Everybody else: the very same only."""

import re

from services.cache.fingerprint import Names

# Beyond this the encoder reads only a part (256 tokens), and equal beginnings would look equal.
TEXT_CHARS_MAX = 800

# What these mean depends on who asks, and when. In a scope of one user's own both are known well
# enough for as long as a semantic answer lives.
_NEEDS_OWNER = re.compile(
    r"\b(today|tonight|tomorrow|yesterday|now|currently|this (?:morning|afternoon|evening|week"
    r"|weekend|month|quarter|year)|(?:last|next) (?:week|weekend|month|quarter|year)"
    r"|at the moment|my|mine|our|ours|myself|ourselves)\b",
    re.IGNORECASE,
)


def skipped(names: Names, *, owned: bool) -> str:
    """Why there is no semantic look-up, a lower-case word; "" when there is one.

    `owned`: the scope is one user's.
    """
    if not names.context:
        return "shape"
    if len(names.text) > TEXT_CHARS_MAX:
        return "long"
    if not owned and _NEEDS_OWNER.search(names.text):
        return "owner"
    return ""
