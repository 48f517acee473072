"""What a calibration learns from: numbers of a pair that guards let through."""

import math
from collections import Counter

from services.cache.semantic.guards import Reading

Features = tuple[float, ...]

NAMES = (
    "similarity",
    "verifier_logit",
    "content_overlap",
    "content_only_one",
    "content_only_other",
    "sign_overlap",
    "length_ratio",
    "words_in_longer",
    "has_numbers",
    "has_names",
    "asks_alike",
    "negated",
    "first_word_same",
)
LOGIT_MAX = 8.0
SIGNS = 3


def features(a: Reading, b: Reading, similarity: float, p_same: float) -> Features:
    """In the order of NAMES; each about 0 to 1 but the logit, which is within +-8."""
    one, other = frozenset(a.content), frozenset(b.content)
    both = len(one & other)
    longest = max(len(a.tokens), len(b.tokens), 1)
    return (
        similarity,
        logit(p_same),
        both / max(1, len(one | other)),
        len(one - other) / max(1, len(one)),
        len(other - one) / max(1, len(other)),
        _signs_shared(a.lower, b.lower),
        min(len(a.tokens), len(b.tokens)) / longest,
        min(1.0, longest / 40),
        float(bool(a.numbers)),
        float(bool(a.names or b.names or a.acronyms or b.acronyms)),
        float(a.questions == b.questions),
        float("not" in a.words),
        float(a.tokens[:1] == b.tokens[:1]),
    )


def logit(p: float) -> float:
    """Log odds of `p`, within +-LOGIT_MAX."""
    p = min(max(p, 1e-9), 1 - 1e-9)
    return min(max(math.log(p / (1 - p)), -LOGIT_MAX), LOGIT_MAX)


def _signs_shared(a: str, b: str) -> float:
    """Share of runs of three letters the two have in common (Dice)."""
    one = Counter(a[n : n + SIGNS] for n in range(len(a) - SIGNS + 1))
    other = Counter(b[n : n + SIGNS] for n in range(len(b) - SIGNS + 1))
    total = sum(one.values()) + sum(other.values())
    return 2 * sum((one & other).values()) / total if total else 0.0
