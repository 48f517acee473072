"""Amounts and times as people type them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from cli.problems import EXIT_USAGE, Problem

NANOS_PER_USD = 10**9
INT64_MAX = 2**63 - 1
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_FACTORS = {"k": 10**3, "M": 10**6, "B": 10**9}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def nanos_of(text: str) -> int:
    """Nano-USD for a text such as "5", "$5" or "0.25". Raises Problem; never rounds."""
    try:
        nanos = Decimal(text.removeprefix("$").replace(",", "")) * NANOS_PER_USD
    except InvalidOperation:
        nanos = Decimal("NaN")
    if not nanos.is_finite() or nanos < 0 or nanos > INT64_MAX:
        raise Problem(
            f"{text!r} is no amount in US dollars", "write for instance 5 or 0.25", code=EXIT_USAGE
        )
    if nanos != nanos.to_integral_value():
        raise Problem(
            f"{text!r} is finer than a nano-dollar", "give nine decimals at most", code=EXIT_USAGE
        )
    return int(nanos)


def count_of(text: str) -> int:
    """The number of "1500", "1,500", "200k" or "1.5M". Raises Problem."""
    number, factor = text.replace(",", ""), 1
    if number[-1:] in _FACTORS:
        number, factor = number[:-1], _FACTORS[number[-1]]
    try:
        count = Decimal(number) * factor
    except InvalidOperation:
        count = Decimal("NaN")
    if not count.is_finite() or count != count.to_integral_value() or not 0 <= count <= INT64_MAX:
        raise Problem(f"{text!r} is no number", "write for instance 1500 or 200k", code=EXIT_USAGE)
    return int(count)


def pairs_of(texts: Iterable[str]) -> dict[str, str]:
    """Names and values of texts such as "team=red". Raises Problem."""
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise Problem(f"{text!r} is no tag", "write for instance team=red", code=EXIT_USAGE)
        pairs[name] = value
    return pairs


def span_of(text: str) -> timedelta:
    """The length of "90s", "15m", "24h", "7d" or "2w". Raises Problem."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise Problem(
            f"{text!r} is no length of time", "write for instance 24h or 7d", code=EXIT_USAGE
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def moment_of(text: str, now: datetime) -> datetime:
    """ "7d" is seven days before `now`; else a date or time in ISO 8601, UTC if it names no zone.

    Raises Problem.
    """
    if _SPAN.fullmatch(text):
        return now - span_of(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(
            f"{text!r} is no time", "write for instance 7d or 2026-11-01", code=EXIT_USAGE
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
