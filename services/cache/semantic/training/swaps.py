"""Word-order pairs made by rule from texts: two words exchanged (0), "x and y" turned round (1)."""

import random
import re

from services.cache.semantic.guards.lexicon import words_of

_SMALL = words_of(
    "a an the of in on at to from for by with about as into over under between among is are was"
    " were be been do does did can could will would should may might must has have had i you he"
    " she it we they me my your his her its our their this that these those some any all who what"
    " which when where why how whose whom and or but if then than not no so there here please"
    " tell hi hello thanks get got much many more most want need know"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z'\-]+")
_AND = re.compile(r"\b([A-Za-z][\w'-]+) (and|or) ([A-Za-z][\w'-]+)\b")
_JOIN = re.compile(r"\b(?:and|or|vs|versus|between)\b|,")
_ALONE = words_of("between of for both the in on with to are from a")
TRIES = 6
NAMES_SHARE = 0.6


def exchanged(text: str, rng: random.Random) -> str | None:
    """The text with two content words exchanged that are no list; None where there are none."""
    words = [(m.start(), m.end(), m[0]) for m in _WORD.finditer(text)]
    words = [w for w in words if w[2].lower() not in _SMALL and len(w[2]) > 2]
    names = [w for w in words if w[0] > 0 and w[2][0].isupper()]
    pool = names if len(names) >= 2 and rng.random() < NAMES_SHARE else words
    if len(pool) < 2:
        return None
    for _ in range(TRIES):
        one, two = sorted(rng.sample(pool, 2))
        between = text[one[1] : two[0]].strip().lower()
        listed = not between or between in "&/" or _JOIN.search(between)
        if listed or one[2].lower() == two[2].lower() or "between" in text[: one[0]].lower():
            continue
        return text[: one[0]] + two[2] + text[one[1] : two[0]] + one[2] + text[two[1] :]
    return None


def turned(text: str) -> str | None:
    """The text with the first "x and y" that stands alone as "y and x"; None without one."""
    found = _AND.search(text)
    if not found or not found.start() or {found[1].lower(), found[3].lower()} & _SMALL:
        return None
    if text[: found.start()].rsplit(maxsplit=1)[-1].lower() not in _ALONE:
        return None
    round_ = f"{found[3]} {found[2]} {found[1]}"
    return text[: found.start()] + round_ + text[found.end() :]
