"""Units, modes, scopes of models and of each value, rolling windows: what a budget can be."""

from typing import Any

import pytest

from services.ledger.rules.apply import apply
from services.ledger.rules.applying import BudgetIndex
from services.ledger.rules.books import Books
from services.ledger.rules.commands import HoldAnswer, Settlement, WorstCase
from services.ledger.rules.refusals import BudgetDowngrade, BudgetExceeded, HoldUnknown
from services.ledger.rules.values import (
    Attribution,
    Balance,
    BalanceKey,
    Budget,
    BudgetMode,
    BudgetUnit,
    BudgetWindow,
    EventKind,
    HoldState,
    Left,
    Tokens,
)
from services.ledger.rules.windows import HOUR_US, slice_us
from tests.unit.ledger.making import (
    NOW,
    PRICES,
    SECOND,
    attempt,
    books,
    budget,
    record,
    release,
    reserve,
    settle,
)


def _balances(kept: Books, number: int) -> dict[str, tuple[int, int]]:
    """Settled and reserved of a budget, by value."""
    return {
        key.subject: (balance.settled_amount, balance.reserved_amount)
        for key, balance in kept.changes.balances.items()
        if key.budget_number == number
    }


def _reopened(kept: Books, now_us: int, *budgets: Budget) -> Books:
    changes = kept.changes
    return Books(
        PRICES,
        now_us,
        budgets=BudgetIndex(budgets),
        balances=changes.balances,
        holds=[*changes.new_holds.values(), *changes.changed_holds.values()],
        entries=changes.entries,
    )


def test_tokens_are_held_and_charged_but_for_those_the_cache_served() -> None:
    """The hold takes all of them: nobody knows yet what the provider's cache has."""
    kept = books(budget(1, 100, unit=BudgetUnit.TOKENS))
    command = reserve(60)
    held = apply(kept, command)
    assert isinstance(held, HoldAnswer)
    assert held.tightest == Left("b1", 40, 100, BudgetUnit.TOKENS)
    used = attempt(1, usage=Tokens(input_tokens=10, cached_input_tokens=40, output_tokens=5))
    apply(kept, settle(command.hold_id, used))
    assert _balances(kept, 1) == {"": (15, 0)}
    with pytest.raises(BudgetExceeded) as caught:
        apply(kept, reserve(90))
    notice = caught.value.notice
    assert (notice.unit, notice.left_amount, notice.needed_amount) == (BudgetUnit.TOKENS, 85, 90)


def test_a_request_counts_once_whatever_it_took() -> None:
    """Three attempts are one request; a released one is none; a hit moves nothing."""
    kept = books(budget(1, 2, unit=BudgetUnit.REQUESTS))
    first, second = reserve(10), reserve(10)
    apply(kept, first)
    apply(kept, second)
    with pytest.raises(BudgetExceeded):
        apply(kept, reserve(10))
    tries = [attempt(), attempt(attempt_number=2), attempt(5, attempt_number=3)]
    apply(kept, settle(first.hold_id, *tries))
    apply(kept, release(second.hold_id))
    apply(kept, record(attempt()))
    assert _balances(kept, 1) == {"": (1, 0)}


def test_budgets_of_other_units_need_no_price() -> None:
    """Only money has to be priced."""
    kept = books(budget(1, 100, unit=BudgetUnit.TOKENS))
    held = apply(kept, reserve(10, "unpriced"))
    assert isinstance(held, HoldAnswer)
    assert held.held_nanos == 0


@pytest.mark.parametrize(
    ("mode", "event"),
    [(BudgetMode.SOFT, EventKind.SOFT), (BudgetMode.SHADOW, EventKind.SHADOW)],
)
def test_a_budget_that_lets_go_on_says_so(mode: BudgetMode, event: EventKind) -> None:
    """In the answer, also when it is asked for again, and in the events, once."""
    kept = books(budget(1, 5_000, mode=mode), budget(2, 10**9))
    command = reserve(10)
    held = apply(kept, command)
    again = apply(kept, command)
    assert isinstance(held, HoldAnswer)
    assert again == held
    (notice,) = held.notices
    assert (notice.mode, notice.left_amount, notice.needed_amount) == (mode, 5_000, 10_000)
    assert [(e.kind, e.budget_id, e.amount) for e in kept.changes.events] == [(event, "b1", 10_000)]
    assert _balances(kept, 1) == {"": (0, 10_000)}


def test_a_budget_that_downgrades_wants_the_cheapest_model_first() -> None:
    """Refused so that the router picks again; then it goes on, and says so."""
    kept = books(budget(1, 5_000, mode=BudgetMode.DOWNGRADE))
    with pytest.raises(BudgetDowngrade):
        apply(kept, reserve(10))
    assert not kept.changes.balances
    held = apply(kept, reserve(10, downgraded=True))
    assert isinstance(held, HoldAnswer)
    assert [notice.mode for notice in held.notices] == [BudgetMode.DOWNGRADE]
    assert [e.kind for e in kept.changes.events] == [EventKind.DOWNGRADED]


def test_a_hard_budget_comes_before_one_that_downgrades() -> None:
    """A cheaper model would be refused just as well."""
    kept = books(budget(1, 5_000, mode=BudgetMode.DOWNGRADE), budget(2, 6_000))
    with pytest.raises(BudgetExceeded) as caught:
        apply(kept, reserve(10))
    assert caught.value.notice.budget_id == "b2"


def test_a_budget_of_a_model_holds_only_what_that_model_can_take() -> None:
    """And is charged only what it took: the fallback of another model goes past it."""
    strong, cheap = budget(1, 10**9, model="strong"), budget(2, 10**9, model="cheap")
    none = budget(3, 0, model="free")
    kept = books(strong, cheap, none)
    cases = tuple(WorstCase(m, Tokens(input_tokens=10), "p") for m in ("strong", "cheap"))
    command = reserve(0, worst_cases=cases)
    apply(kept, command)
    assert (_balances(kept, 1), _balances(kept, 2)) == ({"": (0, 100_000)}, {"": (0, 10_000)})
    tries = [attempt(2, "strong", provider="p"), attempt(4, provider="p", attempt_number=2)]
    apply(kept, settle(command.hold_id, *tries))
    assert (_balances(kept, 1), _balances(kept, 2)) == ({"": (20_000, 0)}, {"": (4_000, 0)})


def test_what_no_worst_case_named_is_charged_all_the_same() -> None:
    """A liar's model: its budget had nothing held, is charged, and that is told."""
    kept = books(budget(1, 10**9, model="strong", create_us=NOW - 1))
    command = reserve(100)
    apply(kept, command)
    done = apply(kept, settle(command.hold_id, attempt(1, "strong")))
    assert isinstance(done, Settlement)
    assert _balances(kept, 1) == {"": (10_000, 0)}
    assert [(e.kind, e.amount) for e in kept.changes.events] == [(EventKind.OVERAGE, 10_000)]


def test_each_user_has_a_limit_of_their_own() -> None:
    """One that is used up refuses its user, by name, and nobody else."""
    kept = books(budget(1, 10_000, each=("user",)))
    apply(kept, reserve(10))
    with pytest.raises(BudgetExceeded) as caught:
        apply(kept, reserve(1))
    assert caught.value.notice.each == (("user", "ann"),)
    bob = Attribution("acme", user="bob")
    assert isinstance(apply(kept, reserve(10, attribution=bob)), HoldAnswer)
    assert _balances(kept, 1) == {'["ann"]': (0, 10_000), '["bob"]': (0, 10_000)}


def test_tags_choose_a_budget() -> None:
    """Only calls with the tag count; others beside it do not matter."""
    kept = books(budget(1, 5_000, tags=(("team", "red"),)))
    red = Attribution("acme", tags=(("env", "prod"), ("team", "red")))
    with pytest.raises(BudgetExceeded):
        apply(kept, reserve(10, attribution=red))
    assert isinstance(apply(kept, reserve(10)), HoldAnswer)


def test_a_rolling_window_returns_money_when_its_slice_has_left() -> None:
    """Nothing at the turn of an hour, everything once it is a whole window ago."""
    rolling = budget(1, 10_000, window=BudgetWindow.ROLLING, rolling_us=24 * HOUR_US)
    kept = books(rolling)
    command = reserve(10)
    apply(kept, command)
    apply(kept, settle(command.hold_id, attempt(10)))
    step = slice_us(rolling.rolling_us)
    still = _reopened(kept, NOW + 24 * HOUR_US - SECOND, rolling)
    with pytest.raises(BudgetExceeded):
        apply(still, reserve(1))
    free = _reopened(kept, NOW + 24 * HOUR_US + step, rolling)
    assert isinstance(apply(free, reserve(10)), HoldAnswer)


def test_a_lowered_limit_binds_while_holds_exist() -> None:
    """Holds under way stay and settle; nothing more is let in."""
    kept = books(budget(1, 100_000))
    command = reserve(50)
    apply(kept, command)
    lower = _reopened(kept, NOW, budget(1, 20_000))
    with pytest.raises(BudgetExceeded) as caught:
        apply(lower, reserve(1))
    assert caught.value.notice.left_amount == -30_000
    apply(lower, settle(command.hold_id, attempt(50)))
    assert lower.changes.balances[BalanceKey(1, 0)] == Balance(50_000, 0)
    assert not lower.changes.events


def test_going_beyond_and_being_late_are_told_on_every_budget() -> None:
    """Once a settlement, with how much."""
    both = [budget(1, 10**9), budget(2, 10**9, feature="chat")]
    kept = books(*both)
    command = reserve(10)
    apply(kept, command)
    apply(kept, settle(command.hold_id, attempt(13)))
    assert [(e.kind, e.budget_id, e.amount) for e in kept.changes.events] == [
        (EventKind.OVERAGE, "b1", 3_000),
        (EventKind.OVERAGE, "b2", 3_000),
    ]
    other = reserve(10)
    apply(kept, other)
    later = _reopened(kept, NOW + 600 * SECOND, *both)
    later.lapse()
    apply(later, settle(other.hold_id, attempt(7)))
    assert {(e.kind, e.amount) for e in later.changes.events} == {(EventKind.LATE, 7_000)}


@pytest.mark.parametrize("verb", [settle, release])
def test_the_hold_of_another_tenant_is_unknown(verb: Any) -> None:
    """Also to who repeats a command that its owner sent."""
    kept = books()
    command = reserve(10)
    apply(kept, command)
    used = [attempt(3)] if verb is settle else []
    theirs = verb(command.hold_id, *used, tenant="other")
    with pytest.raises(HoldUnknown):
        apply(kept, theirs)
    assert isinstance(apply(kept, verb(command.hold_id, *used, tenant="acme")), object)
    with pytest.raises(HoldUnknown):
        apply(kept, theirs)
    hold = kept.hold(command.hold_id)
    assert hold is not None
    assert hold.state is (HoldState.SETTLED if verb is settle else HoldState.RELEASED)
