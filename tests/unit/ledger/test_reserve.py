"""Reserve: on every budget or on none."""

import pytest

from services.ledger.rules.apply import apply
from services.ledger.rules.commands import HoldAnswer, WorstCase
from services.ledger.rules.refusals import BudgetExceeded, IdReused, ModelUnpriced
from services.ledger.rules.values import BudgetWindow, HoldState, Left, Tokens
from services.ledger.rules.windows import window_at
from tests.unit.ledger.making import NOW, SECOND, books, budget, left_of, new_id, reserve


def test_the_dearest_worst_case_is_held_on_every_budget_that_applies() -> None:
    """Several models may be called: the hold covers the dearest, on all budgets."""
    wide, narrow = budget(1, 1_000_000), budget(2, 900_000, feature="chat")
    elsewhere = budget(3, 500, feature="search")
    kept = books(wide, narrow, elsewhere)
    cases = tuple(WorstCase(model, Tokens(input_tokens=10)) for model in ("cheap", "strong"))
    hold = apply(kept, reserve(0, worst_cases=cases))
    assert isinstance(hold, HoldAnswer)
    assert hold.held_nanos == 100_000
    assert hold.state is HoldState.PENDING
    assert hold.expire_us == NOW + 120 * SECOND
    assert hold.tightest == Left("b2", 800_000, 900_000)
    assert left_of(kept, [wide, narrow]) == [900_000, 800_000]


def test_a_hold_that_would_break_one_budget_touches_none() -> None:
    """Refused for the narrow budget, the wide one keeps all it had."""
    wide, narrow = budget(1, 1_000_000), budget(2, 9_999, feature="chat")
    kept = books(wide, narrow)
    with pytest.raises(BudgetExceeded) as caught:
        apply(kept, reserve(10))
    refusal = caught.value.notice
    assert (refusal.budget_id, refusal.limit_amount) == ("b2", 9_999)
    assert (refusal.left_amount, refusal.needed_amount) == (9_999, 10_000)
    assert left_of(kept, [wide, narrow]) == [1_000_000, 9_999]
    assert not kept.changes.balances
    assert not kept.changes.new_holds


def test_a_limit_can_be_used_to_the_last_nano() -> None:
    """What needs exactly what is left is not refused; one nano more is."""
    kept = books(budget(1, 20_000))
    apply(kept, reserve(20))
    with pytest.raises(BudgetExceeded):
        apply(kept, reserve(1))


def test_of_several_broken_budgets_the_one_with_the_least_left_is_named() -> None:
    """The same answer every time: least left, then first by id."""
    kept = books(budget(1, 500), budget(2, 300, user="ann"), budget(3, 300, feature="chat"))
    with pytest.raises(BudgetExceeded) as caught:
        apply(kept, reserve(10))
    assert caught.value.notice.budget_id == "b2"


def test_the_refusal_says_when_the_window_starts_anew() -> None:
    """A lifetime never does."""
    kept = books(budget(1, 5, window=BudgetWindow.DAY))
    with pytest.raises(BudgetExceeded) as caught:
        apply(kept, reserve(10))
    assert caught.value.notice.reset_us == window_at(BudgetWindow.DAY, NOW).end_us
    with pytest.raises(BudgetExceeded) as caught:
        apply(books(budget(1, 5)), reserve(10))
    assert caught.value.notice.reset_us is None


def test_a_limit_of_zero_refuses_what_costs_and_admits_what_does_not() -> None:
    """Free models run on an empty budget."""
    kept = books(budget(1, 0))
    free = apply(kept, reserve(10, "free"))
    assert isinstance(free, HoldAnswer)
    assert free.held_nanos == 0
    with pytest.raises(BudgetExceeded):
        apply(kept, reserve(1))


def test_an_unpriced_model_is_refused_only_where_a_budget_applies() -> None:
    """A limit cannot be kept with an unknown price; where there is no limit none is needed."""
    with pytest.raises(ModelUnpriced) as caught:
        apply(books(budget(1, 10**9)), reserve(10, "unpriced"))
    assert caught.value.model == "unpriced"
    with pytest.raises(ModelUnpriced):
        apply(books(budget(1, 10**9)), reserve(10, "nobody-configured-this"))
    hold = apply(books(budget(1, 10**9, user="bob")), reserve(10, "unpriced"))
    assert isinstance(hold, HoldAnswer)
    assert (hold.held_nanos, hold.tightest) == (0, None)


def test_without_a_budget_the_hold_still_says_what_the_call_may_cost() -> None:
    """The gateway cuts a stream by it."""
    hold = apply(books(), reserve(10))
    assert isinstance(hold, HoldAnswer)
    assert (hold.held_nanos, hold.tightest) == (10_000, None)


def test_an_equal_reserve_gets_the_first_answer_and_holds_nothing_more() -> None:
    """Also when other holds have changed what is left since."""
    only = budget(1, 100_000)
    kept = books(only)
    command = reserve(10)
    first = apply(kept, command)
    apply(kept, reserve(20))
    assert apply(kept, command) == first
    assert left_of(kept, [only]) == [70_000]


def test_another_reserve_under_the_same_id_is_refused() -> None:
    """The hash says whether it is the same command."""
    kept = books()
    hold_id = new_id()
    apply(kept, reserve(10, hold_id=hold_id))
    with pytest.raises(IdReused) as caught:
        apply(kept, reserve(10, hold_id=hold_id, request_hash="other"))
    assert caught.value.used_id == hold_id


def test_a_deleted_budget_holds_nobody_back() -> None:
    """It ended."""
    hold = apply(books(budget(1, 0, deleted=True)), reserve(10))
    assert isinstance(hold, HoldAnswer)
    assert hold.tightest is None
