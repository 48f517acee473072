"""From a price as people write it to whole pico-USD a token."""

from decimal import Decimal, localcontext

from catalog.price import PICOS_PER_TOKEN_MAX

# 1 USD for a million tokens is 10^12 / 10^6 picos for one.
PICOS_PER_USD_PER_MILLION = 10**6

# Published lists that were once computed in binary floating point carry noise around the
# sixteenth digit, such as 0.13999999999999999. A price that is off by more than this share of a
# pico-USD was never a whole number of picos.
NOISE_PICOS_MAX = Decimal("0.000001")


class InexactPrice(Exception):
    """A price is not a whole number of pico-USD a token, or out of range.

    `usd_per_million` is the price as written.
    """

    def __init__(self, usd_per_million: Decimal) -> None:
        super().__init__(
            f"{usd_per_million:f} USD for a million tokens is not a whole number of pico-USD"
            f" a token from 0 to {PICOS_PER_TOKEN_MAX} (at most 6 decimals)"
        )
        self.usd_per_million = usd_per_million


def picos_per_token(usd_per_million: Decimal, *, noise: bool = False) -> int:
    """Whole pico-USD for one token.

    `noise` forgives what binary floating point left behind. Raises InexactPrice.
    """
    if not usd_per_million.is_finite():
        raise InexactPrice(usd_per_million)
    with localcontext() as context:
        context.prec = 60
        picos = usd_per_million * PICOS_PER_USD_PER_MILLION
        nearest = picos.to_integral_value()
        off = abs(picos - nearest)
    if off > (NOISE_PICOS_MAX if noise else 0) or not 0 <= nearest <= PICOS_PER_TOKEN_MAX:
        raise InexactPrice(usd_per_million)
    return int(nearest)
