"""Settle: what was used is charged, the rest of the hold returns."""

from collections.abc import Sequence
from dataclasses import replace

from services.ledger.rules.books import Books
from services.ledger.rules.commands import Settle, Settlement
from services.ledger.rules.lease import draw_from
from services.ledger.rules.pricing import bills
from services.ledger.rules.refusals import IdReused
from services.ledger.rules.resolving import (
    further_lines,
    make_entries,
    named_hold,
    resolvable,
    resolved_answer,
    tell_beyond,
)
from services.ledger.rules.values import Entry, Hold, HoldState


def settle(books: Books, command: Settle) -> Settlement:
    """The booking, or the first answer of an equal command.

    Everything is charged, also beyond the hold (an overage) and after it lapsed (late): the
    money was spent. It goes to the windows of the reservation, at the prices of its moment, so
    that what was held covers what is owed. What was admitted under a lease is taken out of that.
    Raises: IdReused, HoldUnknown, HoldResolved, UsageImpossible, ModelUnpriced.
    """
    known = named_hold(books, command)
    if known is not None and known.state is HoldState.SETTLED:
        if known.resolve_hash != command.request_hash:
            raise IdReused(command.hold_id)
        return _settlement(known, books.entries_of(known.hold_id))
    hold = resolvable(books, command, HoldState.RELEASED)
    priced = bills(books.prices, command.attempts, hold.create_us)
    entries = make_entries(books, hold, command.attempts, priced)
    further = further_lines(books, hold, command.attempts)
    lines = (*hold.lines, *further)
    books.check_range(lines, entries, "attempts")
    drawn = books.hold(hold.hold_id) is None
    taken = None
    if drawn:
        books.add_hold(hold)
    if hold.state is HoldState.PENDING and drawn:
        taken = draw_from(books, hold, entries)
    elif hold.state is HoldState.PENDING:
        books.give_back(hold)
    books.add_lines(further)
    books.charge(lines, entries)
    for entry in entries:
        books.book(entry)
    tell_beyond(books, hold, lines, entries, taken)
    done = books.resolve(replace(hold, lines=lines), HoldState.SETTLED, command.request_hash)
    return _settlement(done, entries)


def _settlement(hold: Hold, entries: Sequence[Entry]) -> Settlement:
    return Settlement(
        entries=tuple(entries),
        charged_nanos=sum(entry.cost_nanos for entry in entries),
        hold=resolved_answer(hold),
    )
