"""A hold as something owned: whoever takes it resolves it, on every way out.

Leaving the block settles what was used or releases the rest; nobody calls for it by hand.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from opentelemetry import metrics
from spendgate.ledger.v1 import entry_pb2, hold_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from chassis import names
from chassis.errors import RemoteError
from gateway.errors import from_service
from gateway.ports import Services
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.summary import Cost, input_tokens, note_money, settled

# Counts what a call under way has used so far; None when it brought nothing.
Unfinished = Callable[[], Awaitable[entry_pb2.Attempt | None]]


_meter = metrics.get_meter("spendgate")
_open = _meter.create_up_down_counter(
    names.METRIC_HOLDS, unit="{hold}", description="Holds of requests under way."
)
_held_nanos = _meter.create_up_down_counter(
    names.METRIC_HELD, unit="{nano_usd}", description="Set aside for requests under way."
)


class DowngradeWanted(Exception):
    """A budget would be broken that wants the cheapest model then. Nothing is held."""


class Tried(Protocol):
    """A try whose span is open until its cost is known."""

    number: int

    def end(self, attributes: Mapping[str, int]) -> None:
        """Ends the span with these, once."""
        ...


class OwnedHold:
    """A hold under way and the attempts made under it."""

    def __init__(self, hold: hold_pb2.Hold, books: Books, ask: Ask) -> None:
        self.hold = hold
        self.attempts: list[entry_pb2.Attempt] = []
        # By attempt number, the calls under way whose use is not known yet.
        self.under_way: dict[int, Unfinished] = {}
        # The attempts begun so far.
        self.begun = 0
        # Every try begun; the hold ends their spans.
        self.tries: list[Tried] = []
        # What kind of row each attempt is booked as, if not as what it is.
        self.kind: entry_pb2.EntryKind = entry_pb2.ENTRY_KIND_CALL
        self._ask = ask
        self._books = books
        self._traceparent = ask.traceparent
        self._tenant = ask.attribution.tenant
        self._resolved = False

    async def confirm(self) -> ledger_pb.Settlement | None:
        """Charges the attempts. None: the ledger is away and the outbox carries it.

        Goes on to its end when the caller is cancelled. Raises: OutboxFull.
        """
        self._resolved = True
        self._ask.booking = booking = self._books.spawn(self._settle())
        settlement: ledger_pb.Settlement | None = await asyncio.shield(booking)
        return settlement

    def leave(self) -> None:
        """The way out of the block: resolves what is not resolved yet, without waiting."""
        if self._resolved:
            return
        self._resolved = True
        if self.under_way or self._owes():
            self._ask.booking = self._books.spawn(self._settle_unfinished())
        else:
            self._books.release_soon(self._release_item())
            self.tell(Cost())

    async def _settle_unfinished(self) -> None:
        for unfinished in self.under_way.values():
            attempt = await unfinished()
            if attempt is not None:
                self.attempts.append(attempt)
        if not self.attempts:
            self._books.release_soon(self._release_item())
            self.tell(Cost())
            return
        if await self._settle() is None:
            self.tell(None)

    async def _settle(self) -> ledger_pb.Settlement | None:
        settlement = await self._books.settle(self._settle_item())
        if settlement is not None:
            self.tell(settled(settlement))
        return settlement

    def tell(self, cost: Cost | None) -> None:
        """Puts the cost on the request's span, and on the span of each try its own.

        None: it is not known yet, and no span tells one.
        """
        if cost is not None:
            note_money(self._ask.span, cost)
        made = {attempt.attempt_number: attempt for attempt in self.attempts}
        for each in self.tries:
            attempt = made.get(each.number)
            each.end({} if cost is None else _told(attempt, cost))

    def _owes(self) -> bool:
        """Whether an attempt that failed has to be paid all the same."""
        return any(attempt.usage.ByteSize() for attempt in self.attempts)

    def _settle_item(self) -> ledger_pb.SettleItem:
        return ledger_pb.SettleItem(
            traceparent=self._traceparent,
            hold_id=self.hold.hold_id,
            attempts=self._in_order(),
            tenant=self._tenant,
        )

    def _in_order(self) -> list[entry_pb2.Attempt]:
        """Calls that ran at once may have ended in any order."""
        for attempt in self.attempts:
            if self.kind != entry_pb2.ENTRY_KIND_CALL:
                attempt.kind = self.kind
        return sorted(self.attempts, key=lambda attempt: attempt.attempt_number)

    def _release_item(self) -> ledger_pb.ReleaseItem:
        return ledger_pb.ReleaseItem(
            traceparent=self._traceparent,
            hold_id=self.hold.hold_id,
            attempts=self._in_order(),
            tenant=self._tenant,
        )


@asynccontextmanager
async def held(
    ask: Ask, services: Services, books: Books, item: ledger_pb.ReserveItem
) -> AsyncIterator[OwnedHold]:
    """Takes the hold that `item` describes and resolves it at the end of the block.

    Raises: DowngradeWanted; what from_service("ledger", ...) makes of any other refusal.
    """
    try:
        hold = await services.reserve(item, ask.deadline)
    except asyncio.CancelledError:
        # The ledger may have taken it all the same.
        books.release_soon(ledger_pb.ReleaseItem(hold_id=item.hold_id))
        raise
    except Exception as error:
        if not isinstance(error, RemoteError) or not error.reason:
            books.release_soon(ledger_pb.ReleaseItem(hold_id=item.hold_id))
        if _wants_downgrade(error) and not ask.downgraded:
            raise DowngradeWanted from None
        raise from_service("ledger", error) from None
    owned = OwnedHold(hold, books, ask)
    _open.add(1)
    _held_nanos.add(hold.held_nanos)
    try:
        yield owned
    finally:
        _open.add(-1)
        _held_nanos.add(-hold.held_nanos)
        owned.leave()


def _told(attempt: entry_pb2.Attempt | None, cost: Cost) -> Mapping[str, int]:
    """What a try's span says in the end."""
    if attempt is None:
        return {names.COST_NANO_USD: 0}
    usage = attempt.usage
    return {
        names.GEN_AI_INPUT_TOKENS: input_tokens(usage),
        names.GEN_AI_OUTPUT_TOKENS: usage.output_tokens + usage.reasoning_tokens,
        names.COST_NANO_USD: cost.by_entry.get(attempt.entry_id, 0),
    }


def _wants_downgrade(error: Exception) -> bool:
    return isinstance(error, RemoteError) and error.reason == "BUDGET_DOWNGRADE"
