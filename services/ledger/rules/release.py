"""Release: nothing was billed, so the whole hold returns."""

from dataclasses import replace

from services.ledger.rules.books import Books
from services.ledger.rules.commands import HoldAnswer, Release
from services.ledger.rules.pricing import bills
from services.ledger.rules.refusals import IdReused
from services.ledger.rules.resolving import (
    make_entries,
    named_hold,
    resolvable,
    resolved_answer,
)
from services.ledger.rules.values import HoldState


def release(books: Books, command: Release) -> HoldAnswer:
    """The released hold, or the first answer of an equal command.

    A hold that has lapsed gave its money back then; releasing it only ends it.
    Raises: IdReused, HoldUnknown, HoldResolved.
    """
    known = named_hold(books, command)
    if known is not None and known.state is HoldState.RELEASED:
        if known.resolve_hash != command.request_hash:
            raise IdReused(command.hold_id)
        return resolved_answer(known)
    hold = resolvable(books, command, HoldState.SETTLED)
    priced = bills(books.prices, command.attempts, hold.create_us)
    if books.hold(hold.hold_id) is None:
        # Admitted under a lease, which goes on with all it has.
        hold = replace(hold, lines=())
        books.add_hold(hold)
    elif hold.state is HoldState.PENDING:
        books.give_back(hold)
    for entry in make_entries(books, hold, command.attempts, priced):
        books.book(entry)
    return resolved_answer(books.resolve(hold, HoldState.RELEASED, command.request_hash))
