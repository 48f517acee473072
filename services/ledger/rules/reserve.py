"""Reserve: what a call can take is set aside on every budget that applies, or on none."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.ledger.rules.applying import Applying
from services.ledger.rules.books import Books
from services.ledger.rules.commands import HoldAnswer, Reserve
from services.ledger.rules.refusals import (
    BudgetDowngrade,
    BudgetExceeded,
    IdReused,
)
from services.ledger.rules.scopes import values_of
from services.ledger.rules.values import (
    BudgetMode,
    BudgetUnit,
    EventKind,
    Hold,
    HoldState,
    Notice,
)
from services.ledger.rules.windows import span_of
from services.ledger.rules.worst import worst_of

_EVENT_OF = {
    BudgetMode.SOFT: EventKind.SOFT,
    BudgetMode.DOWNGRADE: EventKind.DOWNGRADED,
    BudgetMode.SHADOW: EventKind.SHADOW,
}


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a call can take of one budget, and what is left there."""

    of: Applying
    needed: int
    left: int

    @property
    def breaks(self) -> bool:
        """What takes nothing breaks no limit, not even one that is overspent."""
        return self.needed > 0 and self.left < self.needed


def reserve(books: Books, command: Reserve) -> HoldAnswer:
    """The new hold, or the first answer of an equal command.

    Raises: IdReused, ModelUnpriced (only when a budget of money applies), BudgetExceeded,
    BudgetDowngrade.
    """
    known = books.hold(command.hold_id)
    if known is not None:
        if known.reserve_hash != command.request_hash:
            raise IdReused(command.hold_id)
        return _answer(known)
    applying = books.applying(command.attribution, (c.called for c in command.worst_cases))
    worst = worst_of(
        books.prices,
        command.worst_cases,
        books.now_us,
        hold_all=command.hold_all,
        priced=any(each.budget.unit is BudgetUnit.NANO_USD for each in applying),
    )
    claims = [
        _Claim(
            each,
            worst.on(each.budget.unit, each.model, each.provider),
            books.left(each.budget, each.key),
        )
        for each in applying
    ]
    notices = _check_limits(books, claims, downgraded=command.downgraded)
    hold = Hold(
        hold_id=command.hold_id,
        request_id=command.request_id,
        attribution=command.attribution,
        held_nanos=worst.nanos,
        state=HoldState.PENDING,
        create_us=books.now_us,
        expire_us=books.now_us + command.hold_us,
        reserve_hash=command.request_hash,
        notices=tuple(notices),
        lines=tuple(claim.of.line(command.hold_id, claim.needed) for claim in claims),
    )
    for claim, line in zip(claims, hold.lines, strict=True):
        if claim.breaks:
            books.tell(_EVENT_OF[claim.of.budget.mode], line, claim.needed, hold)
    return _answer(books.open_hold(hold))


def _check_limits(books: Books, claims: Sequence[_Claim], *, downgraded: bool) -> list[Notice]:
    """Refuses for the budget with the least left of those that would break and refuse; else what
    the answer must say of those that let it go on."""
    broken = sorted(
        (claim for claim in claims if claim.breaks),
        key=lambda claim: (claim.left, claim.of.budget.budget_id),
    )
    for claim in broken:
        if claim.of.budget.refuses:
            raise BudgetExceeded(_notice(books, claim))
    for claim in broken:
        if claim.of.budget.mode is BudgetMode.DOWNGRADE and not downgraded:
            raise BudgetDowngrade(_notice(books, claim))
    return [_notice(books, claim) for claim in broken]


def _notice(books: Books, claim: _Claim) -> Notice:
    budget = claim.of.budget
    return Notice(
        budget_id=budget.budget_id,
        mode=budget.mode,
        unit=budget.unit,
        limit_amount=budget.limit_amount,
        left_amount=claim.left,
        needed_amount=claim.needed,
        reset_us=span_of(budget, books.now_us).end_us,
        each=values_of(budget.scope, claim.of.key.subject),
    )


def _answer(hold: Hold) -> HoldAnswer:
    """The first answer, also when the hold has moved on since."""
    return HoldAnswer(
        hold.hold_id,
        hold.held_nanos,
        HoldState.PENDING,
        hold.expire_us,
        hold.reserve_left,
        hold.notices,
    )
