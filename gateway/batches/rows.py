"""What an item is booked as, and the booking: once, however often it is tried.

A row's id follows from job and line, and the row lies in the job's log before the ledger is asked:
after a crash the very same command is sent again, and the ledger answers with the row it has.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import grpc
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.fleet import Fleet
from catalog.price import cost_nanos
from catalog.prices import UnknownModel, Unpriced
from catalog.tiers import BATCH, STANDARD
from catalog.usage import BUCKETS, Usage
from chassis.deadline import Deadline
from chassis.errors import RemoteError
from gateway.batches.items import PAUSE_SECONDS, PAUSE_SECONDS_MAX
from gateway.batches.job import Job
from gateway.batches.log import Event, EventKind
from gateway.batches.progress import BY_ENDPOINT, CACHE, DUPLICATE
from gateway.batches.words import fixed_id
from gateway.ports import Services
from gateway.providers.port import ProviderAnswer
from gateway.saga import attempts
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.counted import counted_as
from gateway.saga.usage import text_of, usage_of

WINDOW = 64
RECORD_SECONDS_MAX = 10.0
_FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)


class Rows:
    """Makes rows and books them."""

    def __init__(
        self, services: Services, books: Books, fleet: Fleet, *, now: Callable[[], datetime]
    ) -> None:
        """`now` gives the time in UTC, for prices."""
        self._services = services
        self._books = books
        self._fleet = fleet
        self._now = now

    def served(
        self,
        ask: Ask,
        kind: entry_pb2.EntryKind,
        model: str,
        usage: chat_pb2.TokenUsage,
    ) -> entry_pb2.Attempt:
        """An answer that nobody was called for."""
        baseline = self._fleet.baseline_model(self._now()) or ""
        return attempts.served(ask, kind, model, usage, baseline_model=baseline, entry_id="")

    async def answered(
        self,
        ask: Ask,
        candidate: router_pb.Candidate,
        given: ProviderAnswer,
        kind: entry_pb2.EntryKind,
    ) -> entry_pb2.Attempt:
        """A provider's answer. From its batch endpoint it costs the batch price, and saved what
        the standard price is more."""
        usage, source = await usage_of(
            self._services,
            ask,
            candidate,
            counted_as(self._fleet, candidate.model),
            reported=given.usage,
            written=text_of(given.choices),
        )
        made = attempts.answered(ask, candidate, usage, source, number=1, entry_id="", kind=kind)
        if given.told is not None and source == entry_pb2.USAGE_SOURCE_REPORTED:
            made.told_input_tokens, made.told_output_tokens = given.told
        if kind == entry_pb2.ENTRY_KIND_BATCH_ITEM:
            later = list(made.counterfactuals)
            del made.counterfactuals[:]
            made.counterfactuals.add(
                cause=entry_pb2.SAVING_CAUSE_ROUTING, model=candidate.model, usage=usage
            )
            made.counterfactuals.extend(later)
        return made

    def record(
        self, job: Job, line: int, ask: Ask, made: Sequence[entry_pb2.Attempt]
    ) -> list[ledger_pb.RecordItem]:
        """The attempts of an item as commands to the ledger, under ids that never change."""
        items = []
        for number, attempt in enumerate(made, 1):
            attempt.entry_id = fixed_id(job.batch_id, line, "row", number)
            if attempt.attempt_number:
                attempt.attempt_number = number
            items.append(
                ledger_pb.RecordItem(
                    traceparent=ask.traceparent,
                    request_id=ask.request_id,
                    attribution=ask.attribution,
                    attempt=attempt,
                )
            )
        return items

    async def book(self, job: Job, lines: Sequence[int]) -> None:
        """Books what the log holds of the lines and notes what they came to. Waits for a ledger
        that is away: until then the log carries what is owed."""
        for start in range(0, len(lines), WINDOW):
            window = [line for line in lines[start : start + WINDOW] if line in self._owing(job)]
            events = await asyncio.gather(*(self._book(job, line) for line in window))
            if events:
                await job.note_all(events)

    def _owing(self, job: Job) -> set[int]:
        return job.progress.unbooked

    async def _book(self, job: Job, line: int) -> Event:
        told = await asyncio.to_thread(job.log.read, job.progress.answered[line])
        money = dict.fromkeys(
            ("cost_nanos", "saved_by_cache_nanos", "saved_by_duplicates_nanos",
             "saved_by_batch_price_nanos", "saved_otherwise_nanos"), 0
        )  # fmt: skip
        parked = 0
        for row in told["rows"]:
            item = ledger_pb.RecordItem.FromString(base64.b64decode(row))
            entry = await self._row(item)
            if entry is None:
                parked = 1
                cost = self._calculated(item.attempt)
                savings: dict[int, int] = {}
            else:
                cost = entry.cost_nanos
                savings = {int(each.cause): each.saved_nanos for each in entry.savings}
            self._add(money, told["how"], item.attempt, cost, savings)
        return Event(EventKind.BOOKED, {"line": line, "parked": parked, **money})

    async def _row(self, item: ledger_pb.RecordItem) -> entry_pb2.Entry | None:
        """The row. None: the ledger will never book it; it is put aside for the operator."""
        pause = PAUSE_SECONDS
        while True:
            try:
                return await self._services.record(item, Deadline.after(RECORD_SECONDS_MAX))
            except Exception as error:
                if isinstance(error, RemoteError) and error.code in _FINAL:
                    # The outbox's relay parks it and raises the alarm.
                    await self._books.record(item)
                    return None
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _add(
        self,
        money: dict[str, int],
        how: str,
        attempt: entry_pb2.Attempt,
        cost: int,
        savings: Mapping[int, int],
    ) -> None:
        """Sorts what a row came to by what a job is told of."""
        money["cost_nanos"] += cost
        rest = sum(savings.values())
        if how in (CACHE, DUPLICATE):
            of_cache = savings.get(entry_pb2.SAVING_CAUSE_CACHE, 0)
            name = "saved_by_cache_nanos" if how == CACHE else "saved_by_duplicates_nanos"
            money[name] += of_cache
            rest -= of_cache
        elif how == BY_ENDPOINT and attempt.kind == entry_pb2.ENTRY_KIND_BATCH_ITEM and savings:
            by_price = self._price(attempt, STANDARD) - cost
            money["saved_by_batch_price_nanos"] += by_price
            rest -= by_price
        money["saved_otherwise_nanos"] += rest

    def _calculated(self, attempt: entry_pb2.Attempt) -> int:
        """What a row costs by the gateway's own arithmetic, where the ledger does not say."""
        batch = attempt.kind == entry_pb2.ENTRY_KIND_BATCH_ITEM
        return self._price(attempt, BATCH if batch else STANDARD)

    def _price(self, attempt: entry_pb2.Attempt, tier: str) -> int:
        if not attempt.usage.ByteSize():
            return 0
        try:
            price = self._fleet.book.price_in(tier, attempt.model_used, self._now())
        except (UnknownModel, Unpriced):
            return 0
        used = {bucket: getattr(attempt.usage, bucket) for bucket in BUCKETS}
        return cost_nanos(price, Usage(**used))


def answered_event(
    line: int,
    custom_id: str,
    how: str,
    *,
    rows: Sequence[ledger_pb.RecordItem] = (),
    status: int = 200,
    body: Any = None,
    error: Any = None,
) -> Event:
    """A line's result, as the log holds it: what goes out, and the rows to be booked."""
    return Event(
        EventKind.ANSWERED,
        {
            "line": line,
            "custom_id": custom_id,
            "how": how,
            "status": status,
            "body": body,
            "error": error,
            "rows": [base64.b64encode(row.SerializeToString()).decode() for row in rows],
        },
    )
