"""Reserve: money is set aside on every budget that applies, or on none."""

from services.ledger.rules.books import Books
from services.ledger.rules.commands import HoldAnswer, Reserve
from services.ledger.rules.pricing import worst_case
from services.ledger.rules.refusals import BudgetExceeded, IdReused, ModelUnpriced
from services.ledger.rules.values import BalanceKey, Budget, Hold, HoldState, Line
from services.ledger.rules.windows import window_at


def reserve(books: Books, command: Reserve) -> HoldAnswer:
    """The new hold, or the first answer of an equal command.

    Raises: IdReused, ModelUnpriced (only when a budget applies), BudgetExceeded.
    """
    known = books.hold(command.hold_id)
    if known is not None:
        if known.reserve_hash != command.request_hash:
            raise IdReused(command.hold_id)
        return _answer(known)
    applying = books.applying(command.attribution)
    try:
        held = worst_case(
            books.prices, command.worst_cases, books.now_us, together=command.hold_all
        )
    except ModelUnpriced:
        if applying:
            raise
        held = 0  # Nobody's money is set aside, so nobody needs to know how much.
    _check_limits(books, applying, held)
    hold = Hold(
        hold_id=command.hold_id,
        request_id=command.request_id,
        attribution=command.attribution,
        held_nanos=held,
        state=HoldState.PENDING,
        create_us=books.now_us,
        expire_us=books.now_us + command.hold_us,
        reserve_hash=command.request_hash,
        lines=tuple(Line(command.hold_id, key, held) for _, key in applying),
    )
    return _answer(books.open_hold(hold))


def _check_limits(books: Books, applying: list[tuple[Budget, BalanceKey]], needed: int) -> None:
    """Refuses for the budget with the least left of those that would break."""
    if not needed:
        return  # What costs nothing breaks no limit, not even one that is overspent.
    broken = []
    for budget, key in applying:
        left = books.left(budget, key)
        if left < needed:
            broken.append((left, budget.budget_id, budget))
    if not broken:
        return
    left, _, budget = min(broken, key=lambda row: row[:2])
    raise BudgetExceeded(
        budget.budget_id,
        limit_nanos=budget.limit_nanos,
        left_nanos=left,
        needed_nanos=needed,
        reset_us=window_at(budget.window, books.now_us).end_us,
    )


def _answer(hold: Hold) -> HoldAnswer:
    """The first answer, also when the hold has moved on since."""
    return HoldAnswer(
        hold.hold_id, hold.held_nanos, HoldState.PENDING, hold.expire_us, hold.reserve_left
    )
