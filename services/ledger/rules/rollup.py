"""Sums of entries by the hour: what reports are read from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from services.ledger.rules.kinds import CALLS, HITS
from services.ledger.rules.values import AttemptOutcome, Entry, SavingCause
from services.ledger.rules.windows import DAY_US, hour_start


class RollupKey(NamedTuple):
    """What one row of sums is about. `model` is the one used."""

    hour_us: int
    tenant: str
    project: str
    user: str
    feature: str
    model: str
    provider: str
    kind: int


@dataclass(slots=True)
class Sums:
    """Counts and sums of the entries under one key.

    A request counts once, on the entry that stands for it, whatever the number of its attempts;
    its latency and how it ended are that entry's.
    """

    request_count: int = 0
    hit_count: int = 0
    error_count: int = 0
    attempt_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    counterfactual_nanos: int = 0
    saved_cache_nanos: int = 0
    saved_routing_nanos: int = 0
    saved_compression_nanos: int = 0
    latency_ms: int = 0

    def add(self, entry: Entry) -> None:
        """Counts one entry in."""
        attempt, usage = entry.attempt, entry.attempt.usage
        if entry.counts_request:
            self.request_count += 1
            self.hit_count += attempt.kind in HITS
            self.error_count += attempt.outcome is not AttemptOutcome.OK
            self.latency_ms += attempt.latency_ms
        self.attempt_count += attempt.kind in CALLS
        self.input_tokens += (
            usage.input_tokens
            + usage.cached_input_tokens
            + usage.cache_write_tokens
            + usage.cache_write_1h_tokens
            + usage.audio_input_tokens
            + usage.image_input_tokens
        )
        self.output_tokens += (
            usage.output_tokens
            + usage.reasoning_tokens
            + usage.audio_output_tokens
            + usage.image_output_tokens
        )
        self.cost_nanos += entry.cost_nanos
        self.counterfactual_nanos += entry.counterfactual_nanos
        for saving in entry.savings:
            match saving.cause:
                case SavingCause.CACHE:
                    self.saved_cache_nanos += saving.saved_nanos
                case SavingCause.ROUTING:
                    self.saved_routing_nanos += saving.saved_nanos
                case SavingCause.COMPRESSION:
                    self.saved_compression_nanos += saving.saved_nanos


def by_day(hours: Mapping[RollupKey, Sums]) -> dict[RollupKey, Sums]:
    """Sums of hours together, under the beginnings of their days, UTC."""
    days: dict[RollupKey, Sums] = {}
    for key, sums in hours.items():
        day = key._replace(hour_us=key.hour_us - key.hour_us % DAY_US)
        kept = days.setdefault(day, Sums())
        for name in Sums.__slots__:
            setattr(kept, name, getattr(kept, name) + getattr(sums, name))
    return days


def rollup_key(entry: Entry) -> RollupKey:
    """Where an entry is summed."""
    who, attempt = entry.attribution, entry.attempt
    return RollupKey(
        hour_start(entry.book_us),
        who.tenant,
        who.project,
        who.user,
        who.feature,
        attempt.model_used,
        attempt.provider,
        attempt.kind,
    )
