"""Every kind of attempt is a row of its own, by a stated policy; corrections too."""

import re

import pytest

from catalog.config import parse_config
from catalog.prices import PriceBook
from services.ledger.rules import kinds
from services.ledger.rules.apply import apply
from services.ledger.rules.books import Books
from services.ledger.rules.commands import Correct, Repriced, Settlement
from services.ledger.rules.pricing import CatalogPrices, bills
from services.ledger.rules.refusals import EntryUnknown, UsageImpossible
from services.ledger.rules.values import (
    AttemptOutcome,
    BalanceKey,
    EntryKind,
    SavingCause,
    Tokens,
)
from tests.unit.ledger.making import (
    FLEET,
    NOW,
    PRICES,
    attempt,
    books,
    budget,
    record,
    reserve,
    settle,
    step,
)

# "cheap" at twice its price.
DEARER = CatalogPrices(
    PriceBook(
        parse_config(
            FLEET.replace(
                'price: {input_usd_per_million: "1", output_usd_per_million: "2"}',
                'price: {input_usd_per_million: "2", output_usd_per_million: "4"}',
            )
        )
    )
)


def test_every_kind_has_a_policy() -> None:
    """A kind that the contract gains must be given one, and be in the table."""
    extra = set(kinds.EXTRA_CAUSE)
    assert set(EntryKind) == kinds.STANDING | extra | {EntryKind.CORRECTION}
    assert not kinds.STANDING & extra
    told = re.findall(r"[A-Z_]{4,}", (kinds.__doc__ or "").split("|", 3)[3])
    assert {kind.name for kind in EntryKind} <= set(told)


@pytest.mark.parametrize("kind", sorted(kinds.EXTRA_CAUSE))
def test_what_spendgate_does_for_itself_costs_its_cause(kind: EntryKind) -> None:
    """It would not have been done: its whole cost is a negative saving."""
    (bill,) = bills(PRICES, [attempt(10, kind=kind)], NOW)
    assert (bill.cost_nanos, bill.counterfactual_nanos) == (10_000, 0)
    (saving,) = bill.savings
    assert (saving.cause, saving.saved_nanos) == (kinds.EXTRA_CAUSE[kind], -10_000)


def test_every_attempt_is_charged_to_the_same_budgets() -> None:
    """A billed failure, a retry, a hedge, a summary and the answer: five rows, one request."""
    kept = books(budget(1, 10**9), budget(2, 10**9, feature="chat"))
    command = reserve(100)
    apply(kept, command)
    tries = [
        attempt(1, outcome=AttemptOutcome.FAILED, error_reason="PROVIDER_FAILED"),
        attempt(2, kind=EntryKind.RETRY, outcome=AttemptOutcome.CANCELLED),
        attempt(3, kind=EntryKind.SUMMARY),
        attempt(4, kind=EntryKind.FALLBACK),
        attempt(5, kind=EntryKind.HEDGE, outcome=AttemptOutcome.CANCELLED),
    ]
    done = apply(kept, settle(command.hold_id, *tries))
    assert isinstance(done, Settlement)
    assert [e.cost_nanos for e in done.entries] == [1_000, 2_000, 3_000, 4_000, 5_000]
    assert [e.counts_request for e in done.entries] == [False, False, False, True, False]
    for number in (1, 2):
        assert kept.changes.balances[BalanceKey(number, 0)].settled_amount == 15_000
    sums = kept.changes.rollups.values()
    assert sum(s.request_count for s in sums) == 1
    assert sum(s.attempt_count for s in sums) == 5
    assert sum(s.error_count for s in sums) == 0


def test_buckets_must_add_up_to_what_the_provider_told() -> None:
    """Each token is in one bucket, and none is missing."""
    usage = Tokens(10, 20, 3, 4, 50, 6, 7, 8)
    right = attempt(1, usage=usage, told_input_tokens=44, told_output_tokens=64)
    bills(PRICES, [right], NOW)
    for field in ("told_input_tokens", "told_output_tokens"):
        with pytest.raises(UsageImpossible) as caught:
            bills(PRICES, [attempt(1, usage=usage, **{field: 45})], NOW)
        assert caught.value.field == f"attempts[0].{field}"


def _booked(kept: Books) -> str:
    command = reserve(100)
    apply(kept, command)
    used = attempt(10, counterfactuals=(step(SavingCause.ROUTING, "strong", 10),))
    apply(kept, settle(command.hold_id, used))
    return used.entry_id


def test_a_price_learned_later_is_booked_as_the_difference() -> None:
    """In a row of its own, on the same budgets; the second time there is nothing to say."""
    kept = books(budget(1, 10**9))
    entry_id = _booked(kept)
    kept.prices = DEARER
    told = apply(kept, Correct("acme", entry_id))
    assert isinstance(told, Repriced)
    assert (told.old_nanos, told.new_nanos) == (10_000, 20_000)
    row = kept.changes.entries[-1]
    assert (row.attempt.kind, row.corrects_id) == (EntryKind.CORRECTION, entry_id)
    assert (row.cost_nanos, row.counterfactual_nanos, row.counts_request) == (10_000, 0, False)
    assert [(s.cause, s.saved_nanos) for s in row.savings] == [(SavingCause.ROUTING, -10_000)]
    assert kept.changes.balances[BalanceKey(1, 0)].settled_amount == 20_000
    apply(kept, Correct("acme", entry_id))
    assert len(kept.changes.entries) == 2
    kept.prices = PRICES
    apply(kept, Correct("acme", entry_id))
    assert kept.changes.entries[-1].cost_nanos == -10_000
    assert kept.changes.balances[BalanceKey(1, 0)].settled_amount == 10_000


def test_only_rows_of_the_tenant_are_corrected() -> None:
    """And no correction is corrected itself."""
    kept = books()
    entry_id = _booked(kept)
    with pytest.raises(EntryUnknown):
        apply(kept, Correct("other", entry_id))
    kept.prices = DEARER
    apply(kept, Correct("acme", entry_id))
    with pytest.raises(EntryUnknown):
        apply(kept, Correct("acme", kept.changes.entries[-1].attempt.entry_id))


def test_a_correction_leaves_the_first_answer_as_it_was() -> None:
    """A repeat of the settlement is told what it was told."""
    kept = books(budget(1, 10**9))
    command = reserve(100)
    apply(kept, command)
    charge = settle(command.hold_id, attempt(10))
    first = apply(kept, charge)
    kept.prices = DEARER
    apply(kept, Correct("acme", charge.attempts[0].entry_id))
    assert apply(kept, charge) == first


def test_a_record_is_corrected_on_its_budgets() -> None:
    """What had no hold has lines as well."""
    kept = books(budget(1, 10**9))
    used = attempt(10)
    apply(kept, record(used))
    kept = Books(
        DEARER,
        NOW,
        balances=kept.changes.balances,
        entries=kept.changes.entries,
        owned={f"record/{used.entry_id}": kept.changes.lines},
    )
    apply(kept, Correct("acme", used.entry_id))
    assert kept.changes.balances[BalanceKey(1, 0)].settled_amount == 20_000
