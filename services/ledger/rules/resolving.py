"""What settling and releasing a hold have in common."""

from collections.abc import Sequence

from services.ledger.rules.books import Books
from services.ledger.rules.commands import HoldAnswer, Release, Settle
from services.ledger.rules.pricing import Bill
from services.ledger.rules.refusals import HoldResolved, HoldUnknown, IdReused
from services.ledger.rules.values import Attempt, Entry, EntryKind, Hold, HoldState


def resolvable(books: Books, command: Settle | Release, forbidden: HoldState) -> Hold:
    """The hold, pending or lapsed.

    Raises: IdReused for a row that exists; HoldUnknown; HoldResolved when it is `forbidden`.
    """
    for attempt in command.attempts:
        if books.entry(attempt.entry_id) is not None:
            raise IdReused(attempt.entry_id)
    hold = books.hold(command.hold_id)
    if hold is None:
        raise HoldUnknown(command.hold_id)
    if hold.state is forbidden:
        raise HoldResolved(hold.hold_id, hold.state)
    return hold


def book_attempts(
    books: Books, hold: Hold, attempts: Sequence[Attempt], bills: Sequence[Bill]
) -> list[Entry]:
    """Appends one row an attempt, marked late when the hold had lapsed.

    What the charges take beyond the hold is the overage, on the rows that went beyond.
    """
    # With no budget and no price nothing was promised that could be overrun.
    bounded = bool(hold.lines) or hold.held_nanos > 0
    left = hold.held_nanos
    entries: list[Entry] = []
    for place, (attempt, priced) in enumerate(zip(attempts, bills, strict=True), start=1):
        covered = min(left, priced.cost_nanos)
        left -= covered
        # The last try says how the request ended, so it is the one that counts as the request.
        counts = (
            place == len(attempts)
            and attempt.kind is not EntryKind.SHADOW
            and books.count(hold.attribution.tenant, hold.request_id)
        )
        entry = Entry(
            owner_id=hold.hold_id,
            request_id=hold.request_id,
            attribution=hold.attribution,
            attempt=attempt,
            cost_nanos=priced.cost_nanos,
            savings=priced.savings,
            counterfactual_nanos=priced.counterfactual_nanos,
            price_version=priced.price_version,
            late=hold.state is HoldState.EXPIRED,
            overage_nanos=priced.cost_nanos - covered if bounded else 0,
            book_us=books.now_us,
            counts_request=counts,
        )
        books.book(entry)
        entries.append(entry)
    return entries


def resolved_answer(hold: Hold) -> HoldAnswer:
    """The hold as it was when it was resolved."""
    return HoldAnswer(hold.hold_id, hold.held_nanos, hold.state, hold.expire_us, hold.resolve_left)
