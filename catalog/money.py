"""Money for people to read, without a float on the way."""

NANOS_PER_USD = 10**9
_DECIMALS_MIN = 2


def usd_text(nanos: int) -> str:
    """Nano-USD as USD, exact and as short as that allows: 1_500_000 is "0.0015"."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS_PER_USD)
    decimals = f"{rest:09d}".rstrip("0").ljust(_DECIMALS_MIN, "0")
    return f"{sign}{whole:,}.{decimals}"
