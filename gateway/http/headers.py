"""What callers set and are told in HTTP headers beside OpenAI's JSON."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from multidict import CIMultiDictProxy
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.read import invalid
from gateway.openai.wire import cache_word, counts_money, saved_nanos, usd

PREFIX = "x-spendgate-"
TRACEPARENT_BYTES_MAX = 128
_USD = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?", re.ASCII)
_NANOS_DIGITS = 9
NANOS_PER_USD = 1_000_000_000
# All that is printable in ASCII but the percent sign.
_SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

_NAMES = {
    PREFIX + "feature": "feature",
    PREFIX + "session": "session",
    PREFIX + "project": "project",
}
_CACHE = PREFIX + "cache"
_COST_MAX = PREFIX + "cost-max-usd"
_CACHE_MODES = {
    "off": gateway_pb2.CACHE_MODE_OFF,
    "exact": gateway_pb2.CACHE_MODE_EXACT,
    "refresh": gateway_pb2.CACHE_MODE_REFRESH,
}

Headers = CIMultiDictProxy[str]


def add_options(headers: Headers, options: gateway_pb2.RequestOptions) -> None:
    """Puts the x-spendgate-* headers into `options`. Raises: InvalidFields naming the header.

    An unknown one is refused too: a misspelt limit on cost must not be no limit.
    """
    known = {*_NAMES, _CACHE, _COST_MAX}
    for name in headers:
        if name.lower().startswith(PREFIX) and name.lower() not in known:
            raise invalid(PREFIX + "*", f"known headers: {', '.join(sorted(known))}")
    for header, field in _NAMES.items():
        if value := only(headers, header):
            setattr(options, field, value)
    if word := only(headers, _CACHE):
        if word not in _CACHE_MODES:
            raise invalid(_CACHE, f"must be one of: {', '.join(_CACHE_MODES)}")
        options.cache_mode = _CACHE_MODES[word]
    if amount := only(headers, _COST_MAX):
        options.cost_max_nanos = _nanos(amount)


def only(headers: Headers, name: str) -> str:
    """The header's value, "" when it is absent.

    Raises InvalidFields when it came twice, for two readers may then believe different ones, or
    holds bytes that are no text.
    """
    values = headers.getall(name, ())
    if len(values) > 1:
        raise invalid(name.lower(), "was sent more than once")
    value = values[0] if values else ""
    if not value.isprintable():
        raise invalid(name.lower(), "must be printable text")
    return value


def traceparent(headers: Headers) -> str:
    """The caller's W3C trace, "" when there is none to use."""
    values = headers.getall("traceparent", ())
    value = values[0] if len(values) == 1 else ""
    fits = value.isascii() and len(value) <= TRACEPARENT_BYTES_MAX
    return value if fits else ""


def summary_headers(
    summary: gateway_pb2.Summary, cache_mode: gateway_pb2.CacheMode
) -> Mapping[str, str]:
    """What an answer cost, for who looks at headers only."""
    told = {
        "request-id": summary.request_id,
        "trace-id": summary.trace_id,
        "model": summary.model,
        "cache": cache_word(summary, cache_mode),
        "cost-usd": usd(summary.cost_nanos),
        "cost-nanos": str(summary.cost_nanos),
        "saved-nanos": str(saved_nanos(summary)),
    }
    if summary.HasField("tightest") and counts_money(summary.tightest):
        told["budget-left-nanos"] = str(summary.tightest.left_nanos)
    # Names are the operator's free choice, a header's characters are not.
    return {PREFIX + name: quote(value, safe=_SAFE) for name, value in told.items()}


def _nanos(amount: str) -> int:
    found = _USD.fullmatch(amount)
    if found is None:
        raise invalid(_COST_MAX, "must be USD as a decimal number of at most 9 decimals")
    whole, part = found.groups(default="")
    return int(whole) * NANOS_PER_USD + int(part.ljust(_NANOS_DIGITS, "0"))
