"""Rate limits: what they are, and the arithmetic of a bucket. Pure.

A bucket holds a minute's worth and fills evenly; whole numbers only. Its level is counted in
microseconds times units a minute, so that nothing is ever rounded.
"""

from dataclasses import dataclass
from typing import NamedTuple

MINUTE_US = 60_000_000
# How long to wait for a call at once to end cannot be known.
SLOT_RETRY_SECONDS = 1.0

REQUESTS = "requests_per_minute"
TOKENS = "tokens_per_minute"
PARALLEL = "parallel_calls_max"


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast somebody may call; 0: no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    parallel_calls_max: int = 0

    def over(self, other: "Rates") -> "Rates":
        """Each limit of its own, where there is none that of `other`."""
        return Rates(
            self.requests_per_minute or other.requests_per_minute,
            self.tokens_per_minute or other.tokens_per_minute,
            self.parallel_calls_max or other.parallel_calls_max,
        )


NO_RATES = Rates()


class Bucket(NamedTuple):
    """What a call wants to take of a minute. `of` says whose limit it is."""

    place: str
    of: str
    limit: str
    per_minute: int
    amount: int


class Slot(NamedTuple):
    """A place among the calls at once."""

    place: str
    of: str
    count_max: int


class Refused(NamedTuple):
    """Which limit said no, and when it may say yes."""

    of: str
    limit: str
    allowed: int
    retry_seconds: float


class Level(NamedTuple):
    """How full a bucket was at a moment, in units a minute times microseconds."""

    level: int
    at_us: int


class RateLimited(Exception):
    """A rate limit said no; nothing was taken of any."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.limit)
        self.of = refused.of
        self.limit = refused.limit
        self.allowed = refused.allowed
        self.retry_seconds = refused.retry_seconds


def refilled(kept: Level | None, per_minute: int, now_us: int) -> int:
    """The level of now; a bucket nobody has used is full."""
    full = per_minute * MINUTE_US
    if kept is None:
        return full
    elapsed_us = min(MINUTE_US, max(0, now_us - kept.at_us))
    return min(full, kept.level + elapsed_us * per_minute)


def price_of(bucket: Bucket) -> int:
    """What it takes of the level: more than a whole bucket is let in by a full one."""
    return min(bucket.amount, bucket.per_minute) * MINUTE_US


def wait_seconds(level: int, price: int, per_minute: int) -> float:
    """Until the level reaches the price, rounded up to a thousandth."""
    missing_us = -(-(price - level) // per_minute)
    return -(-missing_us // 1000) / 1000
