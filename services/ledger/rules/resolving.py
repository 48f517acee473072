"""What settling and releasing a hold have in common."""

from collections.abc import Mapping, Sequence

from services.ledger.rules.applying import amount_on, called_by
from services.ledger.rules.books import Books
from services.ledger.rules.commands import HoldAnswer, Release, Settle
from services.ledger.rules.kinds import STANDING
from services.ledger.rules.lease import drawn_hold
from services.ledger.rules.pricing import Bill
from services.ledger.rules.refusals import HoldResolved, HoldUnknown, IdReused
from services.ledger.rules.values import (
    Attempt,
    BalanceKey,
    Entry,
    EventKind,
    Hold,
    HoldState,
    Line,
)


def named_hold(books: Books, command: Settle | Release) -> Hold | None:
    """The hold that a command names; None when there is none, or it is another tenant's."""
    hold = books.hold(command.hold_id)
    if hold is not None and command.tenant not in ("", hold.attribution.tenant):
        return None
    return hold


def resolvable(books: Books, command: Settle | Release, forbidden: HoldState) -> Hold:
    """The hold, pending or lapsed; of a call admitted under a lease, one that is not kept yet.

    Raises: IdReused for a row that exists; HoldUnknown; HoldResolved when it is `forbidden`.
    """
    hold = named_hold(books, command)
    drawn = command.draw if hold is None and books.hold(command.hold_id) is None else None
    if hold is not None or drawn is not None or not command.tenant:
        for attempt in command.attempts:
            if books.entry(attempt.entry_id) is not None:
                raise IdReused(attempt.entry_id)
    if drawn is not None and drawn.attribution.tenant == (
        command.tenant or drawn.attribution.tenant
    ):
        return drawn_hold(books, command, drawn)
    if hold is None:
        raise HoldUnknown(command.hold_id)
    if hold.state is forbidden:
        raise HoldResolved(hold.hold_id, hold.state)
    return hold


def further_lines(books: Books, hold: Hold, attempts: Sequence[Attempt]) -> list[Line]:
    """Lines for models and providers that were called although no worst case named them: only
    budgets of one can miss, and only those that were there when the hold was made."""
    known = {line.key for line in hold.lines}
    return [
        each.line(hold.hold_id, 0)
        for each in books.applying(hold.attribution, called_by(attempts), hold.create_us)
        if each.key not in known
        and (each.model or each.provider)
        and each.budget.create_us <= hold.create_us
    ]


def make_entries(
    books: Books, hold: Hold, attempts: Sequence[Attempt], bills: Sequence[Bill]
) -> list[Entry]:
    """One row an attempt, marked late when the hold had lapsed; nothing is booked yet.

    What the charges take beyond the hold is the overage, on the rows that went beyond.
    """
    # With no budget and no price nothing was promised that could be overrun.
    bounded = bool(hold.lines) or hold.held_nanos > 0
    left = hold.held_nanos
    entries: list[Entry] = []
    standing = [place for place, each in enumerate(attempts) if each.kind in STANDING]
    for place, (attempt, priced) in enumerate(zip(attempts, bills, strict=True)):
        covered = min(left, priced.cost_nanos)
        left -= covered
        # The last try says how the request ended, so it is the one that counts as the request.
        last = bool(standing) and place == standing[-1]
        entries.append(
            Entry(
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
                counts_request=last and not books.counted(hold.attribution.tenant, hold.request_id),
                price_us=hold.create_us,
            )
        )
    return entries


def tell_beyond(
    books: Books,
    hold: Hold,
    lines: Sequence[Line],
    entries: Sequence[Entry],
    taken: Mapping[BalanceKey, int] | None = None,
) -> None:
    """Notes on each budget what was charged beyond what was held, or after the hold lapsed.

    `taken`: what was found set aside where that may be less than was held, under a lease.
    """
    late = hold.state is HoldState.EXPIRED
    for line in lines:
        amount = amount_on(line, entries)
        covered = line.held_amount
        if taken is not None:
            covered = min(covered, taken.get(line.key, 0))
        beyond = amount if late else amount - covered
        if beyond > 0:
            books.tell(EventKind.LATE if late else EventKind.OVERAGE, line, beyond, hold)


def resolved_answer(hold: Hold) -> HoldAnswer:
    """The hold as it was when it was resolved."""
    return HoldAnswer(
        hold.hold_id,
        hold.held_nanos,
        hold.state,
        hold.expire_us,
        hold.resolve_left,
        hold.notices,
    )
