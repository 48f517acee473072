"""One call as the learner sees it: numbers only."""

from enum import Enum
from typing import Final, NamedTuple

# The parts that a fit tells apart: three scripts, tools, the chat format; and a constant.
PARTS: Final = 5
TERMS: Final = PARTS + 1


class Pair(NamedTuple):
    """What was counted, by part (o200k_base tokens, before any ratio), and what was reported.

    `request` is a hash of the request's id, so that a repeat is seen.
    """

    latin: int
    cjk: int
    other: int
    tools: int
    overhead: int
    reported: int
    request: str


class Verdict(Enum):
    """What became of a report."""

    TAKEN = "taken"
    REPEATED = "repeated"
    EXACT = "exact"
    IGNORED = "ignored"
