"""Money for people: exact sums, rounded once, half to even."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.demo_money import percent, usd, usd_exact


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.000000"),
        (1_500_000, "$0.001500"),
        (1_500, "$0.000002"),
        (2_500, "$0.000002"),
        (-1_500_000, "-$0.001500"),
        (-400, "$0.000000"),
        (1_234_567_000_000_000, "$1,234,567.000000"),
    ],
)
def test_dollars_have_six_decimals(nanos: int, text: str) -> None:
    """Rounded half to even; no minus before a zero."""
    assert usd(nanos) == text


@given(st.integers(-(10**18), 10**18))
def test_exact_dollars_lose_nothing(nanos: int) -> None:
    """The text holds the very number."""
    text = usd_exact(nanos).replace("$", "").replace(",", "")
    assert int(Decimal(text).scaleb(9)) == nanos


@pytest.mark.parametrize(
    ("nanos", "text"), [(13_500, "$0.0000135"), (10**9, "$1.00"), (0, "$0"), (-1, "-$0.000000001")]
)
def test_exact_dollars_have_no_idle_zeros(nanos: int, text: str) -> None:
    """As short as it can be without loss, with cents at least."""
    assert usd_exact(nanos) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 3, "33.3%"), (0, 5, "0.0%"), (5, 0, "-"), (-1, 4, "-25.0%"), (10**20, 10**20, "100.0%")],
)
def test_percent(part: int, whole: int, text: str) -> None:
    """One decimal; of nothing there is no percentage."""
    assert percent(part, whole) == text
