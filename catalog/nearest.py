"""The name that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

SIMILARITY_MIN = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, None when none is close. Letter case does not count."""
    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=SIMILARITY_MIN)
    return by_folded[found[0]] if found else None
