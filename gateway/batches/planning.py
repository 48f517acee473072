"""What is to be done for a job: what the cache has is answered, what is asked twice is asked once,
the rest is put into chunks that go one way to one model."""

import asyncio
import base64
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from opentelemetry.trace import Span
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.batching import BatchConfig
from catalog.usage import BUCKETS
from gateway.batches.items import Items, passes
from gateway.batches.job import Job
from gateway.batches.log import Event, EventKind
from gateway.batches.progress import Chunk
from gateway.batches.results import Result, Results
from gateway.providers.batch_port import BatchProvider
from gateway.providers.port import ProviderCall
from gateway.saga.ask import Ask
from gateway.saga.cached import place_of
from gateway.saga.steps import Steps

WINDOW = 32
# Few, for each is held, called and given back as one.
CALLS_A_CHUNK = 16


def chunk_path(job: Job, number: int) -> Path:
    """What a provider's batch endpoint gets for a chunk."""
    return job.folder.path / f"chunk-{number}.jsonl"


@dataclass(slots=True)
class _Open:
    """A chunk that takes more lines."""

    chunk: Chunk
    worst: dict[bytes, dict[str, int]] = field(default_factory=dict)
    file: BinaryIO | None = None
    size: int = 0

    def add_worst(self, who: bytes, usage: chat_pb2.TokenUsage) -> None:
        tokens = self.worst.setdefault(who, dict.fromkeys(BUCKETS, 0))
        for bucket in BUCKETS:
            tokens[bucket] += getattr(usage, bucket)

    def close(self) -> Chunk:
        self.chunk.worst = [
            (_text(who), _text(chat_pb2.TokenUsage(**tokens).SerializeToString()))
            for who, tokens in self.worst.items()
        ]
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
        return self.chunk


class _Plan:
    """The plan of one job while it is made."""

    def __init__(self, job: Job, config: BatchConfig) -> None:
        self.job = job
        self._config = config
        self._open: dict[tuple[bool, str], _Open] = {}
        self.chunks: list[Chunk] = []
        self.events: list[Event] = []
        # Where an answer will be kept -> the first line that asks for it.
        self.first: dict[bytes, int] = {}

    def add(
        self,
        line: int,
        ask: Ask,
        chosen: router_pb.Candidate,
        *,
        worst: chat_pb2.TokenUsage,
        item: bytes | None,
    ) -> None:
        """Puts a line into a chunk; `item` is what the endpoint gets, None for a call."""
        way = (item is not None, chosen.model)
        place = self._open.get(way) or self._begin(way, ask, chosen)
        place.chunk.lines[line] = chosen.output_tokens_max
        place.add_worst(ask.attribution.SerializeToString(deterministic=True), worst)
        if place.file is not None and item is not None:
            place.file.write(item)
            place.size += len(item)
        if self._full(place):
            self.chunks.append(self._open.pop(way).close())

    def _begin(self, way: tuple[bool, str], ask: Ask, chosen: router_pb.Candidate) -> _Open:
        number = len(self.chunks) + len(self._open) + 1
        chunk = Chunk(
            number=number,
            by_endpoint=way[0],
            model=chosen.model,
            provider=chosen.provider,
            upstream_model=chosen.upstream_model,
            lines={},
            worst=[],
            explanation=ask.decision.explanation,
            baseline_model=ask.decision.baseline_model,
        )
        place = self._open[way] = _Open(chunk)
        if way[0]:
            place.file = chunk_path(self.job, number).open("wb")
        return place

    def _full(self, place: _Open) -> bool:
        count = len(place.chunk.lines)
        if place.file is None:
            return count >= CALLS_A_CHUNK
        return count >= self._config.endpoint_items_max or (
            place.size >= self._config.endpoint_bytes_max
        )

    def close(self) -> list[Event]:
        """All of it, for the log."""
        self.chunks += [place.close() for place in self._open.values()]
        self._open.clear()
        chunks = [Event(EventKind.CHUNK, chunk.told()) for chunk in self.chunks]
        return [
            Event(EventKind.PLANNING, {}), *chunks, *self.events, Event(EventKind.PLANNED, {})
        ]  # fmt: skip

    def drop(self) -> None:
        """Lets go of files."""
        for place in self._open.values():
            if place.file is not None:
                with suppress(OSError):
                    place.file.close()


class Planner:
    """Makes plans."""

    def __init__(
        self,
        items: Items,
        results: Results,
        steps: Steps,
        *,
        endpoints: Mapping[str, BatchProvider],
        config: BatchConfig,
        guarded: frozenset[str] = frozenset(),
    ) -> None:
        """`endpoints`: the providers whose batch endpoint is used, by name. `guarded` are tenants
        whose prompts are kept from providers: theirs are called one by one, for the guard stands
        before calls only."""
        self._items = items
        self._results = results
        self._steps = steps
        self._endpoints = endpoints
        self._guarded = guarded
        self._config = config

    async def plan(self, job: Job, span: Span) -> None:
        """The plan is in the log when this returns, and what the cache had is answered. Made again
        from the start after a crash; what was answered stays."""
        made = _Plan(job, self._config)
        try:
            todo = [n for n in range(1, len(job.lines) + 1) if n not in job.progress.answered]
            for start in range(0, len(todo), WINDOW):
                await self._window(made, todo[start : start + WINDOW], span)
                await job.tell()
            await job.note_all(await asyncio.to_thread(made.close))
        finally:
            made.drop()

    async def _window(self, made: _Plan, numbers: list[int], span: Span) -> None:
        looked = await asyncio.gather(*(self._look(made.job, n, span) for n in numbers))
        found = [result for result, _ in looked if result is not None]
        await self._results.keep(made.job, found)
        for number, (_, ask) in zip(numbers, looked, strict=True):
            if ask is not None:
                await self._place(made, number, ask)

    async def _look(self, job: Job, number: int, span: Span) -> tuple[Result | None, Ask | None]:
        """The result, where there is one already; else the request to be placed."""
        line = await asyncio.to_thread(job.lines.read, number, job.spec.options)
        ask = self._items.open(job, line, span)
        try:
            if await self._items.prepare(job, ask):
                return await self._results.from_cache(job, line, ask), None
            await self._items.route(job, ask)
        except Exception as error:
            if passes(error):
                raise
            return await self._results.refused(job, number, error), None
        return None, ask

    async def _place(self, made: _Plan, number: int, ask: Ask) -> None:
        if ask.finding.key:
            first = made.first.setdefault(place_of(ask, ask.finding), number)
            if first != number:
                made.events.append(Event(EventKind.DUPLICATE, {"line": number, "of": first}))
                return
        chosen = ask.decision.chosen
        worst = self._steps.reservation(ask, [chosen]).worst_cases[0].usage
        endpoint = self._endpoints.get(chosen.provider)
        item = None
        if ask.attribution.tenant in self._guarded:
            endpoint = None
        if endpoint is not None and self._items.has_batch_price(chosen.model):
            call = ProviderCall(chosen.upstream_model, ask.sent, chosen.output_tokens_max)
            item = await asyncio.to_thread(endpoint.line, str(number), call)
        made.add(number, ask, chosen, worst=worst, item=item)


def attribution_of(text: str) -> entry_pb2.Attribution:
    """What Chunk.worst says of whom it is held for."""
    return entry_pb2.Attribution.FromString(base64.b64decode(text))


def tokens_of(text: str) -> chat_pb2.TokenUsage:
    """What Chunk.worst says of how much."""
    return chat_pb2.TokenUsage.FromString(base64.b64decode(text))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
