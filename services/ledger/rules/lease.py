"""Leases: slices of budgets that a gateway admits calls out of without asking.

A lease is a hold, one for each epoch of it, so a limit is kept by the one sum that keeps it
anyway: settled + reserved. A charge is drawn from its own epoch's hold and from no other; once that
has lapsed or was returned nothing is set aside for it any more, and it is booked late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.ledger.rules.applying import Applying, amount_on, called_by
from services.ledger.rules.books import Books
from services.ledger.rules.commands import (
    AcquireLease,
    Amounts,
    Draw,
    HoldAnswer,
    LeaseAnswer,
    Release,
    ReturnLease,
    Settle,
)
from services.ledger.rules.pricing import Prices
from services.ledger.rules.refusals import (
    HoldUnknown,
    LeaseFenced,
    LeaseRefused,
    ModelUnpriced,
)
from services.ledger.rules.scopes import Called
from services.ledger.rules.values import (
    MICROS_PER_SECOND,
    NANOS_MAX,
    Attribution,
    BalanceKey,
    BudgetUnit,
    Entry,
    Hold,
    HoldState,
)
from services.ledger.rules.windows import span_of
from services.ledger.rules.worst import worst_of

# Of what is left above the reserve one lease takes this part at most, so that several gateways
# and calls that reserve one by one find something too.
SHARE = 4
# The last twentieth of a limit is never leased.
RESERVE_PART = 20
# A shorter time is not worth the asking.
ADMIT_US_MIN = MICROS_PER_SECOND


def acquire(books: Books, command: AcquireLease) -> LeaseAnswer:
    """The lease, or the first answer of an equal command.

    Budgets of every mode are leased from, and none beyond its limit: a call that breaks one has to
    reserve, and hears of it.
    Raises: LeaseFenced, LeaseRefused, ModelUnpriced (only when a budget of money applies).
    """
    name = command.lease
    known = books.hold(name.hold_id)
    if known is not None:
        if known.reserve_hash != command.request_hash:
            raise LeaseFenced(name.lease_id, name.epoch)
        return _answer(books, command, known)
    applying = books.applying(command.attribution, command.called)
    if any(each.budget.unit is BudgetUnit.NANO_USD for each in applying):
        _check_priced(books.prices, command.called, books.now_us)
    granted = _granted(books, command, applying)
    hold = Hold(
        hold_id=name.hold_id,
        request_id="",
        attribution=command.attribution,
        held_nanos=granted.nanos,
        state=HoldState.PENDING,
        create_us=books.now_us,
        expire_us=books.now_us + _admit_us(books, command, applying) + command.call_us,
        reserve_hash=command.request_hash,
        lines=tuple(each.line(name.hold_id, granted.of(each.budget.unit)) for each in applying),
        lease_id=name.lease_id,
        lease_epoch=name.epoch,
    )
    return _answer(books, command, books.open_hold(hold))


def give_back(books: Books, command: ReturnLease) -> HoldAnswer:
    """The lease's hold with no more than `keep` set aside.

    An epoch that is not there ends before it begins: a grant that is still on its way comes too
    late. Raises: HoldUnknown for another tenant's.
    """
    name = command.lease
    hold = books.hold(name.hold_id)
    if hold is not None and hold.attribution.tenant != command.tenant:
        raise HoldUnknown(name.hold_id)
    if hold is None:
        books.add_hold(_never(books, command))
    elif hold.state is HoldState.PENDING and any(command.keep):
        beyond = {
            line.key: line.kept_amount - command.keep.of(line.unit)
            for line in hold.lines
            if line.kept_amount > command.keep.of(line.unit)
        }
        if beyond:
            books.free(hold, beyond)
    elif hold.state is HoldState.PENDING:
        books.give_back(hold)
        books.resolve(hold, HoldState.RELEASED, "")
    now = books.hold(name.hold_id) or hold
    assert now is not None  # noqa: S101  # made above
    return HoldAnswer(
        now.hold_id, now.held_nanos, now.state, now.expire_us, books.tightest(now.lines)
    )


def drawn_hold(books: Books, command: Settle | Release, draw: Draw) -> Hold:
    """The hold of a call that was admitted under a lease, not kept yet.

    Pending when its epoch still sets its money aside, else lapsed. Money that was spent under a
    lease that nobody knows, or of another caller, counts on the budgets of now.
    """
    who = draw.attribution
    hold = Hold(
        hold_id=command.hold_id,
        request_id=draw.request_id,
        attribution=who,
        held_nanos=0,
        state=HoldState.EXPIRED,
        create_us=books.now_us,
        expire_us=books.now_us,
        reserve_hash="",
        lease_id=draw.lease.lease_id,
        lease_epoch=draw.lease.epoch,
    )
    lease = books.hold(draw.lease.hold_id)
    if lease is None or not lease.lease_id or not _covers(lease.attribution, who):
        applying = books.applying(who, called_by(command.attempts))
        return replace(hold, lines=tuple(each.line(hold.hold_id, 0) for each in applying))
    worst = worst_of(
        books.prices, draw.worst_cases, lease.create_us, hold_all=draw.hold_all, priced=False
    )
    return replace(
        hold,
        held_nanos=worst.nanos,
        state=HoldState.PENDING if is_open(lease) else HoldState.EXPIRED,
        create_us=lease.create_us,
        expire_us=lease.expire_us,
        lines=tuple(
            replace(
                line,
                owner_id=hold.hold_id,
                held_amount=worst.on(line.unit, line.model, line.provider),
                freed_amount=0,
            )
            for line in lease.lines
        ),
    )


def is_open(lease: Hold) -> bool:
    """Whether an epoch still has money set aside: the fence."""
    return lease.state is HoldState.PENDING


def draw_from(books: Books, hold: Hold, entries: Sequence[Entry]) -> Mapping[BalanceKey, int]:
    """Takes what the rows of a pending drawn hold cost out of its lease, as far as that reaches;
    how much was taken."""
    lease = books.hold(f"{hold.lease_id}/{hold.lease_epoch}")
    if lease is None:
        return {}
    taken = {line.key: min(amount_on(line, entries), line.kept_amount) for line in lease.lines}
    books.free(lease, {key: amount for key, amount in taken.items() if amount})
    return taken


def _granted(books: Books, command: AcquireLease, applying: Sequence[Applying]) -> Amounts:
    """What every budget can spare, unit by unit. Raises: LeaseRefused."""
    granted = list(command.wanted)
    for each in applying:
        if "session" in each.budget.scope.each:
            # Each session has its own limit, and the lease is for all of a caller's.
            raise LeaseRefused(each.budget.budget_id, "BUDGET_BY_SESSION")
        spare = books.left(each.budget, each.key) - -(-each.budget.limit_amount // RESERVE_PART)
        least = max(1, command.least.of(each.budget.unit))
        if spare // SHARE < least:
            raise LeaseRefused(each.budget.budget_id, "LAST_OF_BUDGET")
        place = each.budget.unit - 1
        granted[place] = min(granted[place], spare // SHARE)
    return Amounts(*granted)


def _admit_us(books: Books, command: AcquireLease, applying: Sequence[Applying]) -> int:
    """How long calls may be admitted: they count in the windows of the grant, so no longer than
    those last. Raises: LeaseRefused."""
    admit_us = command.admit_us
    for each in applying:
        end_us = span_of(each.budget, books.now_us).end_us
        if end_us is not None and end_us - books.now_us < admit_us:
            admit_us = end_us - books.now_us
            if admit_us < ADMIT_US_MIN:
                raise LeaseRefused(each.budget.budget_id, "WINDOW_ENDS")
    return admit_us


def _check_priced(prices: Prices, called: Sequence[Called], at_us: int) -> None:
    for model, _ in called:
        prices.price(model, at_us)


def _answer(books: Books, command: AcquireLease, hold: Hold) -> LeaseAnswer:
    tokens = [line.held_amount for line in hold.lines if line.unit is BudgetUnit.TOKENS]
    requests = [line.held_amount for line in hold.lines if line.unit is BudgetUnit.REQUESTS]
    budgets = [books.budget(line.key.budget_number) for line in hold.lines]
    return LeaseAnswer(
        lease=command.lease,
        granted=Amounts(
            hold.held_nanos,
            # Without a budget of theirs there is nothing that they could use up.
            min(tokens, default=NANOS_MAX),
            min(requests, default=NANOS_MAX),
        ),
        admit_us=hold.expire_us - hold.create_us - command.call_us,
        expire_us=hold.expire_us,
        models=tuple((each, _version(books, each[0], hold.create_us)) for each in command.called),
        hard=any(budget is not None and budget.refuses for budget in budgets),
        tightest=hold.reserve_left,
    )


def _version(books: Books, model: str, at_us: int) -> str:
    try:
        return books.prices.price(model, at_us).version
    except ModelUnpriced:
        return ""


def _never(books: Books, command: ReturnLease) -> Hold:
    name = command.lease
    return Hold(
        hold_id=name.hold_id,
        request_id="",
        attribution=Attribution(command.tenant),
        held_nanos=0,
        state=HoldState.RELEASED,
        create_us=books.now_us,
        expire_us=books.now_us,
        reserve_hash="",
        resolve_us=books.now_us,
        lease_id=name.lease_id,
        lease_epoch=name.epoch,
    )


def _covers(leased: Attribution, who: Attribution) -> bool:
    return leased == replace(who, session="")
