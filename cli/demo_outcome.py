"""What became of one request of the day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cli.demo_rows import Row


class Source(StrEnum):
    """Where an answer came from, or why there is none."""

    PROVIDER = "provider"
    CACHE_EXACT = "cache_exact"
    CACHE_SEMANTIC = "cache_semantic"
    SHARED = "shared"
    REFUSED = "refused"
    FAILED = "failed"


HITS = frozenset({Source.CACHE_EXACT, Source.CACHE_SEMANTIC, Source.SHARED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request's end as its caller saw it. Money is nano-USD, latency microseconds.

    `budget_id` says which budget refused, `reason` why there is no answer.
    """

    row: Row
    source: Source
    latency_us: int
    answer: str = ""
    model: str = ""
    trace_id: str = ""
    request_id: str = ""
    cost_nanos: int = 0
    counterfactual_nanos: int = 0
    saved_nanos: Mapping[str, int] = field(default_factory=dict)
    budget_id: str = ""
    reason: str = ""
    booking_pending: bool = False

    @property
    def hit(self) -> bool:
        """True when no provider was called for it and it was answered all the same."""
        return self.source in HITS

    @property
    def as_expected(self) -> bool:
        """Whether the day's author foresaw it."""
        expected = self.row.expect
        if expected == "hit":
            return self.hit
        if expected == "miss":
            return self.source is Source.PROVIDER
        if expected == "refused":
            return self.source is Source.REFUSED
        return self.hit or self.source is Source.PROVIDER
