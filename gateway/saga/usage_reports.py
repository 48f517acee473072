"""Tells the tokenizer what providers reported, so that its estimates learn; nobody waits for it."""

import contextlib
from collections.abc import Iterable

from spendgate.ledger.v1 import entry_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.fleet import Fleet
from chassis.deadline import Deadline
from gateway.ports import Services
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.counted import counted_as
from gateway.saga.summary import input_tokens

REPORT_SECONDS_MAX = 2.0


class UsageReports:
    """What the tokenizer hears of calls that ended: numbers, the model, the request's id."""

    def __init__(self, services: Services, books: Books, fleet: Fleet) -> None:
        self._services = services
        self._books = books
        self._fleet = fleet

    def tell(self, ask: Ask, attempts: Iterable[entry_pb2.Attempt]) -> None:
        """What was reported for the attempts that were answered."""
        if not ask.prepared.HasField("parts"):
            return
        for attempt in attempts:
            answered = attempt.outcome == entry_pb2.ATTEMPT_OUTCOME_OK
            if answered and attempt.usage_source == entry_pb2.USAGE_SOURCE_REPORTED:
                item = self._item(ask, attempt)
                if item is not None:
                    self._books.spawn(self._report(item))

    def _item(self, ask: Ask, attempt: entry_pb2.Attempt) -> tokenizer_pb.ReportUsageItem | None:
        counted = counted_as(self._fleet, attempt.model_used)
        scaled = ask.prepared.input.ratio_source != tokenizer_pb.RATIO_SOURCE_UNSPECIFIED
        if not scaled and counted == ask.counted_as:
            return None  # counted with its own vocabulary: there is nothing to learn
        # No part of the request's trace: it is over, and nobody waited for this.
        return tokenizer_pb.ReportUsageItem(
            request_id=ask.request_id,
            model=counted.model,
            encoding=counted.encoding,
            parts=ask.prepared.parts,
            reported_tokens=input_tokens(attempt.usage),
        )

    async def _report(self, item: tokenizer_pb.ReportUsageItem) -> None:
        # A report that is lost teaches nothing, and costs nothing.
        with contextlib.suppress(Exception):
            await self._services.report_usage(item, Deadline.after(REPORT_SECONDS_MAX))
