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
from gateway.errors import ServiceUnavailable, from_service
from gateway.ports import Services
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.leases import Admitted, Leases
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

    def __init__(
        self, hold: hold_pb2.Hold, books: Books, ask: Ask, admitted: Admitted | None = None
    ) -> None:
        """`admitted`: the ledger does not know of it; it was taken out of a lease."""
        self.hold = hold
        self.attempts: list[entry_pb2.Attempt] = []
        # By attempt number, the calls under way whose use is not known yet.
        self.under_way: dict[int, Unfinished] = {}
        # The attempts begun so far.
        self.begun = 0
        # Whether a second call was made beside a slow one: once a request.
        self.hedged = False
        # Every try begun; the hold ends their spans.
        self.tries: list[Tried] = []
        # What kind of row each attempt is booked as, if not as what it is.
        self.kind: entry_pb2.EntryKind = entry_pb2.ENTRY_KIND_CALL
        self._ask = ask
        self._books = books
        self._traceparent = ask.traceparent
        self._tenant = ask.attribution.tenant
        self._admitted = admitted
        self._resolved = False
        # What the gateway takes the charge for, should the ledger be away.
        self._estimate: Cost | None = None
        # Nobody waits for the charge any more.
        self._left = False

    async def confirm(self) -> ledger_pb.Settlement | None:
        """Charges the attempts. None: the ledger is away and the outbox carries it.

        Goes on to its end when the caller is cancelled. Raises: OutboxFull.
        """
        self._resolved = True
        booking: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def heard(settlement: ledger_pb.Settlement | None) -> None:
            self._heard(settlement)
            booking.set_result(None)

        self._ask.booking = booking
        try:
            return await self._books.settle(self._settle_item(), heard)
        except BaseException:
            self._left = True
            if booking.done():
                self.tell(None)
            raise

    def estimated(self, cost: Cost) -> None:
        """What a charge comes to that the ledger has not confirmed: told if it is away."""
        self._estimate = cost
        if self._ask.booking is None or self._ask.booking.done():
            self.tell(cost)

    def leave(self) -> None:
        """The way out of the block: resolves what is not resolved yet, without waiting."""
        if self._resolved:
            return
        self._resolved = self._left = True
        if self.under_way or self._owes():
            self._ask.booking = self._books.spawn(self._settle_unfinished())
        else:
            self._release()

    def _release(self) -> None:
        if self._admitted is not None:
            self._admitted.released()
        # Of what was taken out of a lease the ledger need not hear, but for the rows.
        if self._admitted is None or self.attempts:
            self._books.release_soon(self._release_item())
        self.tell(Cost())

    async def _settle_unfinished(self) -> None:
        for unfinished in self.under_way.values():
            attempt = await unfinished()
            if attempt is not None:
                self.attempts.append(attempt)
        if self.attempts:
            await self._books.settle(self._settle_item(), self._heard, answers=False)
        else:
            self._release()

    def _heard(self, settlement: ledger_pb.Settlement | None) -> None:
        """The ledger has booked the charge; None: it is away."""
        if self._admitted is not None:
            self._admitted.settled(settlement)
        if settlement is not None:
            self.tell(settled(settlement))
        elif self._left or self._estimate is not None:
            self.tell(self._estimate)

    def tell(self, cost: Cost | None) -> None:
        """Puts the cost on the request's span, and on the span of each try its own, and ends those.

        None: it is not known yet, and no span tells one.
        """
        if cost is not None:
            note_money(self._ask.span, cost)
        made = {attempt.attempt_number: attempt for attempt in self.attempts}
        for each in self.tries:
            attempt = made.get(each.number)
            each.end({} if cost is None else _said(attempt, cost))

    def _owes(self) -> bool:
        """Whether an attempt that failed has to be paid all the same."""
        return any(attempt.usage.ByteSize() for attempt in self.attempts)

    def _settle_item(self) -> ledger_pb.SettleItem:
        return ledger_pb.SettleItem(
            traceparent=self._traceparent,
            hold_id=self.hold.hold_id,
            attempts=self._in_order(),
            tenant=self._tenant,
            draw=self._admitted.draw if self._admitted else None,
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
            draw=self._admitted.draw if self._admitted else None,
        )


@asynccontextmanager
async def held(
    ask: Ask,
    services: Services,
    books: Books,
    item: ledger_pb.ReserveItem,
    leases: Leases | None = None,
) -> AsyncIterator[OwnedHold]:
    """Takes the hold that `item` describes, out of one of `leases` where that can be, and resolves
    it at the end of the block.

    Raises: DowngradeWanted; what from_service("ledger", ...) makes of any other refusal.
    """
    admitted = leases.admit(item) if leases is not None else None
    if admitted is not None:
        ask.span.set_attribute(names.LEASED, True)
        owned = OwnedHold(admitted.hold, books, ask, admitted)
    else:
        owned = OwnedHold(await _reserve(ask, services, books, item, leases), books, ask)
    _open.add(1)
    _held_nanos.add(owned.hold.held_nanos)
    try:
        yield owned
    finally:
        _open.add(-1)
        _held_nanos.add(-owned.hold.held_nanos)
        owned.leave()


async def _reserve(
    ask: Ask,
    services: Services,
    books: Books,
    item: ledger_pb.ReserveItem,
    leases: Leases | None,
) -> hold_pb2.Hold:
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
        failure = from_service("ledger", error)
        if leases is not None and isinstance(failure, ServiceUnavailable):
            leases.ledger_is(True)
        raise failure from None
    if leases is not None:
        leases.reserved(item)
    return hold


def _said(attempt: entry_pb2.Attempt | None, cost: Cost) -> Mapping[str, int]:
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
