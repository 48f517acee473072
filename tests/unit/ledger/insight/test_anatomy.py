"""Where the money went."""

from hypothesis import given
from hypothesis import strategies as st

from catalog.price import Rates
from services.ledger.insight.anatomy import MEANINGS, Slice, anatomy
from services.ledger.rules.values import Tokens

COUNT = st.integers(0, 10**9)
RATE = st.integers(0, 10**9)
NANOS = st.integers(0, 10**15)
RATES = st.builds(Rates, *[RATE] * 7)
SLICES = st.builds(
    Slice,
    plain_nanos=NANOS,
    tokens=st.builds(Tokens, *[COUNT] * 8),
    rates=RATES | st.none(),
    system_tokens=COUNT,
    tools_tokens=COUNT,
    history_tokens=COUNT,
    new_tokens=COUNT,
    unsegmented_tokens=COUNT,
    development_nanos=NANOS,
    failed_nanos=NANOS,
    again_nanos=NANOS,
    other_nanos=NANOS,
)


@given(st.lists(SLICES, max_size=5))
def test_the_parts_add_up_to_what_was_charged(slices: list[Slice]) -> None:
    """To the nano, whatever the tokens say."""
    charged = sum(
        each.plain_nanos
        + each.development_nanos
        + each.failed_nanos
        + each.again_nanos
        + each.other_nanos
        for each in slices
    )
    assert sum(nanos for _, nanos in anatomy(slices)) == charged


def test_every_part_says_what_it_is() -> None:
    """And they come in the order of a reader's surprise, the estimate first."""
    assert [name for name, _ in anatomy([])] == list(MEANINGS)
    assert next(iter(MEANINGS)) == "naive estimate"


def test_cached_tokens_take_away_what_they_are_cheaper() -> None:
    """100 cached at a tenth of the price: the estimate counts them whole, the cache takes off."""
    rates = Rates(1_000_000, 100_000, 0, 0, 0, 0, 0)
    each = Slice(10_000, Tokens(cached_input_tokens=100), rates, unsegmented_tokens=100)
    parts = dict(anatomy([each]))
    assert (parts["naive estimate"], parts["provider cache"]) == (100_000, -90_000)
