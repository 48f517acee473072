from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.money import usd_text


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0.00"),
        (1, "0.000000001"),
        (1_500_000, "0.0015"),
        (10**9, "1.00"),
        (1_234_560_000_000, "1,234.56"),
        (-5_000_000_000, "-5.00"),
    ],
)
def test_money_reads_exactly(nanos: int, text: str) -> None:
    """Nano-USD are shown in full, without digits that say nothing."""
    assert usd_text(nanos) == text


@given(st.integers(-(2**70), 2**70))
def test_no_nano_is_lost(nanos: int) -> None:
    """The text has the very same value, however large."""
    assert Fraction(usd_text(nanos).replace(",", "")) * 10**9 == nanos
