"""Settle: what was used is charged, the rest of the hold returns."""

from collections.abc import Sequence

from services.ledger.rules.books import Books
from services.ledger.rules.commands import Settle, Settlement
from services.ledger.rules.pricing import bills
from services.ledger.rules.refusals import IdReused
from services.ledger.rules.resolving import book_attempts, resolvable, resolved_answer
from services.ledger.rules.values import Entry, Hold, HoldState


def settle(books: Books, command: Settle) -> Settlement:
    """The booking, or the first answer of an equal command.

    Everything is charged, also beyond the hold (an overage) and after it lapsed (late): the
    money was spent. It goes to the windows of the reservation, at the prices of its moment, so
    that what was held covers what is owed.
    Raises: IdReused, HoldUnknown, HoldResolved, UsageImpossible, ModelUnpriced.
    """
    known = books.hold(command.hold_id)
    if known is not None and known.state is HoldState.SETTLED:
        if known.resolve_hash != command.request_hash:
            raise IdReused(command.hold_id)
        return _settlement(known, books.entries_of(known.hold_id))
    hold = resolvable(books, command, HoldState.RELEASED)
    priced = bills(books.prices, command.attempts, hold.create_us)
    charged = sum(each.cost_nanos for each in priced)
    books.check_range(charged, [line.key for line in hold.lines], "attempts")
    if hold.state is HoldState.PENDING:
        books.give_back(hold)
    books.charge(hold.lines, charged)
    entries = book_attempts(books, hold, command.attempts, priced)
    return _settlement(books.resolve(hold, HoldState.SETTLED, command.request_hash), entries)


def _settlement(hold: Hold, entries: Sequence[Entry]) -> Settlement:
    return Settlement(
        entries=tuple(entries),
        charged_nanos=sum(entry.cost_nanos for entry in entries),
        hold=resolved_answer(hold),
    )
