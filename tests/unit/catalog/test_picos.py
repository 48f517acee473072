from decimal import Decimal

import pytest

from catalog.picos import InexactPrice, picos_per_token


@pytest.mark.parametrize(
    ("usd_per_million", "picos"),
    [("2.50", 2_500_000), ("0.003625", 3_625), ("0", 0), ("0.000001", 1), ("600", 600_000_000)],
)
def test_six_decimals_per_million_are_exact(usd_per_million: str, picos: int) -> None:
    """The smallest catalogued unit, a millionth of a USD per million tokens, is one pico."""
    assert picos_per_token(Decimal(usd_per_million)) == picos


@pytest.mark.parametrize(
    "noisy", ["0.13999999999999999", "1.0399999999999998", "0.18000000000000002"]
)
def test_noise_of_floats_is_forgiven_only_where_it_is_expected(noisy: str) -> None:
    """A published price off by the sixteenth digit is repaired, the operator's own is not."""
    assert picos_per_token(Decimal(noisy), noise=True) == round(Decimal(noisy), 2) * 1_000_000
    with pytest.raises(InexactPrice):
        picos_per_token(Decimal(noisy))


@pytest.mark.parametrize(
    "wrong", ["0.0000001", "0.0833333333333333", "-1", "NaN", "Infinity", "1001"]
)
def test_what_is_no_whole_number_of_picos_is_an_error(wrong: str) -> None:
    """A third of a pico, a negative price and a price that is no number are refused."""
    with pytest.raises(InexactPrice):
        picos_per_token(Decimal(wrong), noise=True)
