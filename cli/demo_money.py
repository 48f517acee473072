"""Nano-USD for people: whole numbers in, text out, rounded once and only here."""

from decimal import ROUND_HALF_EVEN, Decimal

NANOS_PER_USD = 1_000_000_000
_NANO_PLACES = -9


def usd(nanos: int, places: int = 6) -> str:
    """`nanos` as dollars with `places` decimals, half to even: 1500000 is "$0.001500"."""
    amount = Decimal(nanos).scaleb(_NANO_PLACES)
    rounded = amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    return f"-${-rounded:,f}" if rounded < 0 else f"${abs(rounded):,f}"


def usd_exact(nanos: int) -> str:
    """`nanos` as dollars to the nano without idle zeros: 13500 is "$0.0000135"."""
    text = usd(nanos, 9).rstrip("0")
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}" if nanos else "$0"


def percent(part: int, whole: int) -> str:
    """`part` of `whole` with one decimal, "-" when there is no whole."""
    if whole == 0:
        return "-"
    share = Decimal(part * 100) / Decimal(whole)
    return f"{share.quantize(Decimal('0.1'), rounding=ROUND_HALF_EVEN)}%"
