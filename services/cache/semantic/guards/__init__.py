"""Cheap tests that refuse a pair of prompts, each under the name Explain shows.

A guard sees only spelling: it may refuse a pair that means the same (a hit lost), and must never be
the reason a pair is served. Pure; some 0.1 ms a pair.
"""

from collections.abc import Callable

from services.cache.semantic.guards.agree import (
    code_agrees,
    comparisons_agree,
    dates_agree,
    ids_agree,
    names_agree,
    negation_agrees,
    numbers_agree,
    questions_agree,
    quotes_agree,
    units_agree,
    versions_agree,
)
from services.cache.semantic.guards.opposites import lists_agree, opposites_agree
from services.cache.semantic.guards.order import order_agrees
from services.cache.semantic.guards.reading import Reading, read
from services.cache.semantic.guards.scope import depends_on_owner, scope_agrees

__all__ = ["GUARDS", "Reading", "depends_on_owner", "read", "refusal"]

GUARDS: tuple[tuple[str, Callable[[Reading, Reading], bool]], ...] = (
    ("ids", ids_agree),
    ("versions", versions_agree),
    ("numbers", numbers_agree),
    ("dates", dates_agree),
    ("units", units_agree),
    ("names", names_agree),
    ("quoted", quotes_agree),
    ("code", code_agrees),
    ("scope", scope_agrees),
    ("negation", negation_agrees),
    ("opposites", opposites_agree),
    ("lists", lists_agree),
    ("question", questions_agree),
    ("comparison", comparisons_agree),
    ("order", order_agrees),
)
"""In the order they are asked: the cheap ones first."""


def refusal(a: Reading, b: Reading) -> str | None:
    """The name of the first guard that refuses the pair, or None."""
    for name, agree in GUARDS:
        if not agree(a, b):
            return name
    return None
