"""How far a job is, as its log tells it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spendgate.gateway.v1 import batch_pb2 as batch_pb

from gateway.batches.log import Event, EventKind, Place

# How a line was answered.
CACHE, DUPLICATE, BY_ENDPOINT, BY_CALL, FAILED = "cache", "duplicate", "endpoint", "call", "failed"
_COUNTS = {
    CACHE: "from_cache",
    DUPLICATE: "duplicates",
    BY_ENDPOINT: "by_endpoint",
    BY_CALL: "by_calls",
}
_MONEY = (
    "cost_nanos",
    "saved_by_cache_nanos",
    "saved_by_duplicates_nanos",
    "saved_by_batch_price_nanos",
    "saved_otherwise_nanos",
)


@dataclass(slots=True)
class Chunk:
    """Lines that go the same way to the same model, and the money held for them."""

    number: int
    # By the provider's batch endpoint, or by ordinary calls.
    by_endpoint: bool
    model: str
    provider: str
    upstream_model: str
    # Each line with the most tokens its answer may have.
    lines: dict[int, int]
    # To whom it is held, with the most tokens: (Attribution, TokenUsage), serialized, in base64.
    worst: list[tuple[str, str]]
    explanation: str = ""
    baseline_model: str = ""
    # Which asking for its money is the one that counts.
    generation: int = 1
    name: str = ""
    provider_batch_id: str = ""
    held_nanos: int = 0
    done: bool = False

    def told(self) -> dict[str, Any]:
        """As the log has it."""
        names = (
            "number", "by_endpoint", "model", "provider", "upstream_model", "worst", "explanation",
            "baseline_model",
        )  # fmt: skip
        lines = [[line, most] for line, most in self.lines.items()]
        return {**{name: getattr(self, name) for name in names}, "lines": lines}


@dataclass(slots=True)
class Progress:
    """What the log adds up to."""

    checked: bool = False
    planned: bool = False
    begun: bool = False
    # How it ended (gateway.v1.Batch, in base64). "": it has not.
    ended: str = ""
    chunks: dict[int, Chunk] = field(default_factory=dict)
    # Line -> the lines that ask the same.
    duplicates: dict[int, list[int]] = field(default_factory=dict)
    # Line -> where its result is.
    answered: dict[int, Place] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    # Answered, the rows not yet booked.
    unbooked: set[int] = field(default_factory=set)
    # What each line came to.
    booked: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    counts: batch_pb.BatchProgress = field(default_factory=batch_pb.BatchProgress)
    money: batch_pb.BatchMoney = field(default_factory=batch_pb.BatchMoney)

    def replay(self, events: Iterable[tuple[Event, Place]]) -> None:
        """Takes in what a log holds."""
        for event, place in events:
            self.take(event, place)
        if not self.planned:
            self.chunks.clear()
            self.duplicates.clear()

    def take(self, event: Event, place: Place) -> None:
        """Takes in what has happened."""
        told = event.told
        match event.kind:
            case EventKind.CHECKED:
                self.checked = True
                self.counts.total = told["total"]
            case EventKind.PLANNING:
                self.chunks.clear()
                self.duplicates.clear()
            case EventKind.CHUNK:
                lines = dict(told["lines"])
                worst = [(who, tokens) for who, tokens in told["worst"]]
                chunk = Chunk(**{**told, "lines": lines, "worst": worst})
                self.chunks[chunk.number] = chunk
            case EventKind.DUPLICATE:
                self.duplicates.setdefault(told["of"], []).append(told["line"])
            case EventKind.PLANNED:
                self.planned = True
            case EventKind.BEGUN:
                self.begun = True
            case EventKind.ANSWERED:
                self._answered(told, place)
            case EventKind.BOOKED:
                self._booked(told)
            case EventKind.ENDED:
                self.ended = told["state"]
            case _:
                self._of_chunk(event.kind, told)

    def _of_chunk(self, kind: EventKind, told: Mapping[str, Any]) -> None:
        chunk = self.chunks[told["chunk"]]
        match kind:
            case EventKind.HELD:
                chunk.generation = told["generation"]
            case EventKind.SUBMITTING:
                chunk.name = told["name"]
            case EventKind.SUBMITTED:
                chunk.provider_batch_id = told["provider_batch_id"]
            case EventKind.BY_CALLS:
                chunk.by_endpoint = False
            case EventKind.DONE:
                chunk.done = True

    def left(self, chunk: Chunk) -> list[int]:
        """The lines of a chunk that have no result."""
        return [line for line in chunk.lines if line not in self.answered]

    def _answered(self, told: Mapping[str, Any], place: Place) -> None:
        line, how = told["line"], told["how"]
        if line in self.answered:
            return
        self.answered[line] = place
        if told["rows"]:
            self.unbooked.add(line)
        if how == FAILED:
            self.failed.add(line)
            self.counts.failed += 1
            return
        self.counts.completed += 1
        name = _COUNTS[how]
        setattr(self.counts, name, getattr(self.counts, name) + 1)

    def _booked(self, told: Mapping[str, Any]) -> None:
        line = told["line"]
        if line in self.booked:
            return
        self.unbooked.discard(line)
        self.booked[line] = told
        for name in _MONEY:
            setattr(self.money, name, getattr(self.money, name) + told[name])
        self.money.booking_parked_count += told["parked"]
