"""What attempts cost and save."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.rules.pricing import bills, worst_case
from services.ledger.rules.refusals import ModelUnpriced, UsageImpossible
from services.ledger.rules.values import Counterfactual, EntryKind, Saving, SavingCause, Tokens
from tests.unit.ledger.making import NOW, PRICES, attempt, step

TOKENS = st.builds(Tokens, *[st.integers(0, 10**6)] * len(Tokens._fields))
STEPS = st.builds(
    Counterfactual, st.sampled_from(SavingCause), st.sampled_from(["cheap", "strong"]), TOKENS
)


@given(TOKENS, st.lists(STEPS, max_size=4))
def test_charged_and_saved_add_up_to_the_last_step(
    usage: Tokens, steps: list[Counterfactual]
) -> None:
    """Whatever the chain, no nano is counted twice or lost."""
    (bill,) = bills(PRICES, [attempt(1, usage=usage, counterfactuals=tuple(steps))], NOW)
    saved = sum(saving.saved_nanos for saving in bill.savings)
    assert bill.cost_nanos + saved == bill.counterfactual_nanos
    assert [saving.cause for saving in bill.savings] == list(
        dict.fromkeys(each.cause for each in steps)
    )


@given(TOKENS)
def test_what_is_held_covers_what_is_owed(usage: Tokens) -> None:
    """A settlement within the worst case never goes over its hold."""
    held = worst_case(PRICES, "cheap", usage, NOW)
    (bill,) = bills(PRICES, [attempt(1, usage=usage)], NOW)
    assert bill.cost_nanos <= held


def test_a_step_that_would_have_been_cheaper_saves_less_than_nothing() -> None:
    """Honest: the stronger model was dearer."""
    dear = attempt(10, "strong", counterfactuals=(step(SavingCause.ROUTING, "cheap", 10),))
    (bill,) = bills(PRICES, [dear], NOW)
    assert bill.savings[0].saved_nanos == -90_000
    assert bill.counterfactual_nanos == 10_000


def test_an_item_of_a_providers_batch_has_the_batch_price() -> None:
    """Half here; its chain begins with the standard price. Without a known batch price it cannot
    be booked, unless nothing was used."""
    (bill,) = bills(
        PRICES,
        [
            attempt(
                10,
                "halved",
                kind=EntryKind.BATCH_ITEM,
                counterfactuals=(step(SavingCause.ROUTING, "halved", 10),),
            )
        ],
        NOW,
    )
    assert (bill.cost_nanos, bill.counterfactual_nanos) == (5_000, 10_000)
    assert bill.savings == (Saving(SavingCause.ROUTING, 5_000),)
    with pytest.raises(ModelUnpriced):
        bills(PRICES, [attempt(1, "cheap", kind=EntryKind.BATCH_ITEM)], NOW)
    (failed,) = bills(PRICES, [attempt(model="cheap", kind=EntryKind.BATCH_ITEM)], NOW)
    assert failed.cost_nanos == 0


def test_nothing_used_costs_nothing_whatever_the_price() -> None:
    """A failure of an unpriced model can be booked; its use cannot."""
    (bill,) = bills(PRICES, [attempt(model="unpriced")], NOW)
    assert (bill.cost_nanos, bill.price_version) == (0, "")
    with pytest.raises(ModelUnpriced):
        bills(PRICES, [attempt(1, "unpriced")], NOW)


def test_a_step_without_a_price_cannot_be_told() -> None:
    """Never 0 for what is not known."""
    hit = attempt(counterfactuals=(step(SavingCause.CACHE, "unpriced", 10),))
    with pytest.raises(ModelUnpriced):
        bills(PRICES, [hit], NOW)


@pytest.mark.parametrize("tokens", [-1, 10**12 + 1])
def test_impossible_tokens_are_refused_by_name(tokens: int) -> None:
    """Of the attempt and of its steps."""
    with pytest.raises(UsageImpossible) as caught:
        bills(PRICES, [attempt(1), attempt(1, usage=Tokens(reasoning_tokens=tokens))], NOW)
    assert caught.value.field == "attempts[1].usage.reasoning_tokens"
    with pytest.raises(UsageImpossible) as caught:
        bills(
            PRICES,
            [attempt(1, counterfactuals=(step(SavingCause.CACHE, "cheap", tokens),))],
            NOW,
            "attempt",
        )
    assert caught.value.field == "attempt.counterfactuals[0].usage.input_tokens"


def test_a_bill_of_more_than_a_billion_dollars_is_not_believed() -> None:
    """Each bucket is possible, all together are not: sums stay inside an int64."""
    one = Tokens(input_tokens=10**12)
    (bill,) = bills(PRICES, [attempt(1, "dear", usage=one)], NOW)
    assert bill.cost_nanos == 10**18
    two = Tokens(input_tokens=10**12, output_tokens=10**12)
    with pytest.raises(UsageImpossible):
        bills(PRICES, [attempt(1, "dear", usage=two)], NOW)
