"""Settle and Release: a hold is resolved once, and what was spent is booked."""

import pytest

from catalog.config import parse_config
from catalog.prices import PriceBook
from services.ledger.rules.apply import apply, apply_all
from services.ledger.rules.applying import BudgetIndex
from services.ledger.rules.books import Books
from services.ledger.rules.commands import HoldAnswer, Settlement
from services.ledger.rules.pricing import CatalogPrices
from services.ledger.rules.refusals import (
    HoldResolved,
    HoldUnknown,
    IdReused,
    ModelUnpriced,
    UsageImpossible,
)
from services.ledger.rules.values import (
    AttemptOutcome,
    Balance,
    BalanceKey,
    Budget,
    BudgetWindow,
    Entry,
    HoldState,
    Saving,
    SavingCause,
    Tokens,
)
from services.ledger.rules.windows import DAY_US, HOUR_US, window_at
from tests.unit.ledger.making import (
    NOW,
    PRICES,
    SECOND,
    attempt,
    books,
    budget,
    left_of,
    new_id,
    record,
    release,
    reserve,
    settle,
    step,
)

ONLY = budget(1, 100_000)
DEARER_TOMORROW = """
providers:
  somewhere: {base_url: "http://127.0.0.1:1/v1"}
models:
  cheap:
    provider: somewhere
    price:
      - {input_usd_per_million: "1", output_usd_per_million: "2"}
      - {start_date: 2026-03-11, input_usd_per_million: "5", output_usd_per_million: "2"}
"""


def _reopened(kept: Books, now_us: int, *budgets: Budget) -> Books:
    """The same books in a later transaction."""
    changes = kept.changes
    return Books(
        PRICES,
        now_us,
        budgets=BudgetIndex(budgets or [ONLY]),
        balances=changes.balances,
        holds=[*changes.new_holds.values(), *changes.changed_holds.values()],
        entries=changes.entries,
    )


def test_a_settlement_charges_what_was_used_and_returns_the_rest() -> None:
    """Held 20,000, used 7,000: 13,000 are free again."""
    kept = books(ONLY)
    command = reserve(20)
    apply(kept, command)
    done = apply(kept, settle(command.hold_id, attempt(7)))
    assert isinstance(done, Settlement)
    assert done.charged_nanos == 7_000
    assert done.hold.state is HoldState.SETTLED
    assert done.hold.tightest is not None
    assert done.hold.tightest.left_amount == 93_000
    (entry,) = done.entries
    assert (entry.cost_nanos, entry.late, entry.overage_nanos) == (7_000, False, 0)
    assert left_of(kept, [ONLY]) == [93_000]


def test_every_attempt_is_a_row_and_all_are_charged() -> None:
    """A billed failure and the answer that followed."""
    kept = books(ONLY)
    command = reserve(20)
    apply(kept, command)
    failed = attempt(3, outcome=AttemptOutcome.FAILED)
    done = apply(kept, settle(command.hold_id, failed, attempt(5, attempt_number=2)))
    assert isinstance(done, Settlement)
    assert [entry.cost_nanos for entry in done.entries] == [3_000, 5_000]
    assert done.charged_nanos == 8_000
    assert [entry.counts_request for entry in done.entries] == [False, True]


def test_what_goes_beyond_the_hold_is_booked_and_marked() -> None:
    """The provider took more than the worst case: nothing is hidden."""
    kept = books(ONLY)
    command = reserve(10)
    apply(kept, command)
    done = apply(kept, settle(command.hold_id, attempt(8), attempt(5), attempt(1)))
    assert isinstance(done, Settlement)
    assert [entry.overage_nanos for entry in done.entries] == [0, 3_000, 1_000]
    assert left_of(kept, [ONLY]) == [86_000]


def test_an_equal_settlement_gets_the_first_answer() -> None:
    """Charged once, whatever happened since."""
    kept = books(ONLY)
    command = reserve(20)
    apply(kept, command)
    charge = settle(command.hold_id, attempt(7))
    first = apply(kept, charge)
    apply(kept, reserve(5))
    assert apply(kept, charge) == first
    later = _reopened(kept, NOW + 5 * SECOND)
    assert apply(later, charge) == first
    assert left_of(kept, [ONLY]) == [88_000]


def test_another_settlement_of_the_hold_is_refused() -> None:
    """The same hold, other numbers: ID_REUSED."""
    kept = books(ONLY)
    command = reserve(20)
    apply(kept, command)
    apply(kept, settle(command.hold_id, attempt(7)))
    with pytest.raises(IdReused):
        apply(kept, settle(command.hold_id, attempt(7), request_hash="other"))


def test_a_hold_is_settled_or_released_not_both() -> None:
    """The refusal says how it was resolved."""
    kept = books(ONLY)
    one, other = reserve(10), reserve(10)
    for command in (one, other):
        apply(kept, command)
    apply(kept, settle(one.hold_id, attempt(1)))
    apply(kept, release(other.hold_id))
    with pytest.raises(HoldResolved) as caught:
        apply(kept, release(one.hold_id))
    assert caught.value.state is HoldState.SETTLED
    with pytest.raises(HoldResolved) as caught:
        apply(kept, settle(other.hold_id, attempt(1)))
    assert caught.value.state is HoldState.RELEASED
    assert left_of(kept, [ONLY]) == [99_000]


def test_a_release_returns_everything_and_books_what_was_tried() -> None:
    """Failures that cost nothing are rows too."""
    kept = books(ONLY)
    command = reserve(20)
    apply(kept, command)
    given_back = release(command.hold_id, attempt())
    hold = apply(kept, given_back)
    assert isinstance(hold, HoldAnswer)
    assert hold.state is HoldState.RELEASED
    assert left_of(kept, [ONLY]) == [100_000]
    (entry,) = kept.changes.entries
    assert (entry.cost_nanos, entry.counts_request) == (0, True)
    assert apply(kept, given_back) == hold
    with pytest.raises(IdReused):
        apply(kept, release(command.hold_id, request_hash="other"))


def test_an_unknown_hold_cannot_be_resolved() -> None:
    """NOT_FOUND, not a guess."""
    for command in (settle(new_id(), attempt(1)), release(new_id())):
        with pytest.raises(HoldUnknown):
            apply(books(ONLY), command)


def test_a_lapsed_hold_gives_its_money_back_at_its_time() -> None:
    """Not a microsecond before, and without anybody asking for it."""
    kept = books(ONLY)
    command = reserve(20)
    apply(kept, command)
    just_before = _reopened(kept, NOW + 120 * SECOND - 1)
    apply_all(just_before, [])
    assert left_of(just_before, [ONLY]) == [80_000]
    then = _reopened(kept, NOW + 120 * SECOND)
    apply_all(then, [])
    assert left_of(then, [ONLY]) == [100_000]
    assert then.changes.changed_holds[command.hold_id].state is HoldState.EXPIRED


def test_a_late_settlement_is_booked_and_marked() -> None:
    """The money was spent, so it is charged, also over the limit."""
    kept = books(ONLY)
    command = reserve(80)
    apply(kept, command)
    later = _reopened(kept, NOW + 600 * SECOND)
    taken, done = apply_all(later, [reserve(90), settle(command.hold_id, attempt(70))])
    assert isinstance(taken, HoldAnswer)
    assert isinstance(done, Settlement)
    (entry,) = done.entries
    assert (entry.late, entry.cost_nanos, entry.overage_nanos) == (True, 70_000, 0)
    assert done.hold.state is HoldState.SETTLED
    assert left_of(later, [ONLY]) == [100_000 - 90_000 - 70_000]


def test_releasing_a_lapsed_hold_is_no_error_and_ends_it() -> None:
    """The money went back once; a settlement after it is refused."""
    kept = books(ONLY)
    command = reserve(20)
    apply(kept, command)
    later = _reopened(kept, NOW + 600 * SECOND)
    gone, refused = apply_all(
        later, [release(command.hold_id), settle(command.hold_id, attempt(1))]
    )
    assert isinstance(gone, HoldAnswer)
    assert gone.state is HoldState.RELEASED
    assert isinstance(refused, HoldResolved)
    assert left_of(later, [ONLY]) == [100_000]


def test_a_settlement_goes_to_the_window_of_its_reservation() -> None:
    """Reserved at 12:59, settled at 13:01: the hour of 12 pays."""
    hourly = budget(1, 100_000, window=BudgetWindow.HOUR)
    kept = books(hourly)
    command = reserve(20)
    apply(kept, command)
    later = _reopened(kept, NOW + 60 * SECOND + HOUR_US, hourly)
    apply_all(later, [settle(command.hold_id, attempt(7))])
    before = BalanceKey(1, window_at(BudgetWindow.HOUR, NOW).start_us)
    assert later.changes.balances[before].settled_amount == 7_000
    assert left_of(later, [hourly]) == [100_000]


def test_a_settlement_has_the_prices_of_its_reservation() -> None:
    """The price rises at midnight, between the two: the hold still covers the charge."""
    prices = CatalogPrices(PriceBook(parse_config(DEARER_TOMORROW)))
    kept = Books(prices, NOW, budgets=BudgetIndex([ONLY]))
    command = reserve(10)
    apply(kept, command)
    kept.now_us += DAY_US
    settled, recorded = apply_all(kept, [settle(command.hold_id, attempt(10)), record(attempt(10))])
    assert isinstance(settled, Settlement)
    assert isinstance(recorded, Entry)
    assert (settled.entries[0].cost_nanos, settled.entries[0].overage_nanos) == (10_000, 0)
    assert recorded.cost_nanos == 50_000
    assert settled.entries[0].price_version != recorded.price_version


def test_a_refused_command_leaves_its_neighbours_and_the_books_alone() -> None:
    """Order of ErrorReason: the id first, then the hold, the tokens, the price."""
    kept = books(ONLY)
    command = reserve(20)
    first = attempt(1)
    apply(kept, record(first))
    apply(kept, command)
    before = dict(kept.changes.balances)
    impossible = attempt(1, usage=Tokens(output_tokens=-1))
    with pytest.raises(IdReused):
        apply(kept, settle(new_id(), first))
    with pytest.raises(HoldUnknown):
        apply(kept, settle(new_id(), impossible))
    with pytest.raises(UsageImpossible) as caught:
        apply(kept, settle(command.hold_id, attempt(1, "unpriced"), impossible))
    assert caught.value.field == "attempts[1].usage.output_tokens"
    with pytest.raises(ModelUnpriced):
        apply(kept, settle(command.hold_id, attempt(1), attempt(1, "unpriced")))
    assert kept.changes.balances == before
    assert len(kept.changes.entries) == 1
    assert isinstance(apply(kept, settle(command.hold_id, attempt(7))), Settlement)


def test_a_request_counts_once_however_often_it_is_booked() -> None:
    """Two bookings for one request: the first one stands for it."""
    kept = books()
    apply(kept, record(attempt(1), "request-1"))
    apply(kept, record(attempt(1), "request-1"))
    apply(kept, record(attempt(1), "request-2"))
    assert [entry.counts_request for entry in kept.changes.entries] == [True, False, True]
    (sums,) = kept.changes.rollups.values()
    assert (sums.request_count, sums.attempt_count) == (2, 3)


def test_money_beyond_what_can_be_kept_is_refused_not_wrapped() -> None:
    """An int64 of nano-USD ends at 9.2 billion USD; books near it stay right."""
    kept = Books(
        PRICES,
        NOW,
        budgets=BudgetIndex([ONLY]),
        balances={BalanceKey(1, 0): Balance(2**63 - 5_000, 0, 1)},
    )
    with pytest.raises(UsageImpossible):
        apply(kept, record(attempt(6)))
    apply(kept, record(attempt(4)))
    assert kept.changes.balances[BalanceKey(1, 0)].settled_amount == 2**63 - 1_000


def test_a_record_is_charged_to_the_budgets_and_repeats_to_the_same_row() -> None:
    """It never fails for lack of money: it was spent."""
    small = budget(1, 1_000)
    kept = books(small)
    command = record(attempt(5))
    first = apply(kept, command)
    assert apply(kept, command) == first
    assert left_of(kept, [small]) == [-4_000]
    with pytest.raises(IdReused):
        apply(kept, record(command.attempt, request_hash="other"))


def test_causes_add_up_to_what_would_have_been_paid() -> None:
    """Compressed from 12 to 10 tokens, then routed from strong to cheap, then answered by cache."""
    chain = (
        step(SavingCause.CACHE, "cheap", 10),
        step(SavingCause.COMPRESSION, "cheap", 12),
        step(SavingCause.ROUTING, "strong", 12),
    )
    entry = apply(books(), record(attempt(counterfactuals=chain)))
    assert isinstance(entry, Entry)
    assert entry.savings == (
        Saving(SavingCause.CACHE, 10_000),
        Saving(SavingCause.COMPRESSION, 2_000),
        Saving(SavingCause.ROUTING, 108_000),
    )
    assert entry.counterfactual_nanos == 120_000
