"""What callers set and are told in HTTP headers beside OpenAI's JSON."""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar
from urllib.parse import quote, unquote

from multidict import CIMultiDictProxy
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.read import invalid
from gateway.openai.wire import cache_word, counts_money, saved_nanos, usd

PREFIX = "x-spendgate-"
TRACEPARENT_BYTES_MAX = 128
_USD = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?", re.ASCII)
_TOKENS = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_NANOS_DIGITS = 9
NANOS_PER_USD = 1_000_000_000
# Of a header; the field beside the answer tells all of them.
WARNINGS_CHARS_MAX = 1_024
# All that is printable in ASCII but the percent sign.
_SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

_NAMES = {
    PREFIX + "feature": "feature",
    PREFIX + "session": "session",
    PREFIX + "project": "project",
    PREFIX + "user": "user",
    PREFIX + "cache-ttl-class": "cache_ttl_class",
    "idempotency-key": "idempotency_key",
}
_CACHE = PREFIX + "cache"
_CACHE_EXPLAIN = PREFIX + "cache-explain"
_TAGS = PREFIX + "tags"
TIMEOUT = PREFIX + "timeout-seconds"
_COST_MAX = PREFIX + "cost-max-usd"
_COMPRESSION = PREFIX + "compression"
_CONTEXT = PREFIX + "context"
_BUDGET_TOKENS = PREFIX + "context-budget-tokens"
_SUMMARY_MODEL = PREFIX + "summary-model"
_HEDGE = PREFIX + "hedge"
_LEVELS = {
    "off": gateway_pb2.COMPRESSION_LEVEL_OFF,
    "lossless": gateway_pb2.COMPRESSION_LEVEL_LOSSLESS,
    "tool_results": gateway_pb2.COMPRESSION_LEVEL_TOOL_RESULTS,
    "wording": gateway_pb2.COMPRESSION_LEVEL_WORDING,
    "extract": gateway_pb2.COMPRESSION_LEVEL_EXTRACT,
}
_POLICIES = {
    "all": gateway_pb2.CONTEXT_POLICY_ALL,
    "auto": gateway_pb2.CONTEXT_POLICY_AUTO,
    "append_only": gateway_pb2.CONTEXT_POLICY_APPEND_ONLY,
    "sliding_window": gateway_pb2.CONTEXT_POLICY_SLIDING_WINDOW,
    "window_with_facts": gateway_pb2.CONTEXT_POLICY_WINDOW_WITH_FACTS,
    "summary": gateway_pb2.CONTEXT_POLICY_SUMMARY,
}
_CACHE_MODES = {
    "off": gateway_pb2.CACHE_MODE_OFF,
    "exact": gateway_pb2.CACHE_MODE_EXACT,
    "refresh": gateway_pb2.CACHE_MODE_REFRESH,
    "semantic": gateway_pb2.CACHE_MODE_SEMANTIC,
}
_SWITCH = {"on": True, "off": False}

ValueT = TypeVar("ValueT")
Headers = CIMultiDictProxy[str]


def add_options(headers: Headers, options: gateway_pb2.RequestOptions) -> None:
    """Puts the x-spendgate-* headers into `options`. Raises: InvalidFields naming the header.

    An unknown one is refused too: a misspelt limit on cost must not be no limit.
    """
    known = {
        *_NAMES, _CACHE, _CACHE_EXPLAIN, _COST_MAX, _COMPRESSION, _CONTEXT, _BUDGET_TOKENS,
        _SUMMARY_MODEL, _HEDGE, _TAGS, TIMEOUT,
    }  # fmt: skip
    for name in headers:
        if name.lower().startswith(PREFIX) and name.lower() not in known:
            raise invalid(PREFIX + "*", f"known headers: {', '.join(sorted(known))}")
    for header, field in _NAMES.items():
        if value := only(headers, header):
            setattr(options, field, value)
    if mode := _choice(headers, _CACHE, _CACHE_MODES):
        options.cache_mode = mode
    if level := _choice(headers, _COMPRESSION, _LEVELS):
        options.compression.level = level
    _add_context(headers, options)
    if (hedge := _choice(headers, _HEDGE, _SWITCH)) is not None:
        options.hedge = hedge
    for name, value in _tags(only(headers, _TAGS)):
        options.tags[name] = value
    options.cache_explain = bool(_choice(headers, _CACHE_EXPLAIN, _SWITCH))
    if amount := only(headers, _COST_MAX):
        options.cost_max_nanos = _nanos(amount)


def _add_context(headers: Headers, options: gateway_pb2.RequestOptions) -> None:
    """How the conversation is fitted."""
    if policy := _choice(headers, _CONTEXT, _POLICIES):
        options.context.policy = policy
    if tokens := only(headers, _BUDGET_TOKENS):
        if not _TOKENS.fullmatch(tokens):
            raise invalid(_BUDGET_TOKENS, "must be a whole number from 1 to 999999999")
        options.context.budget_tokens = int(tokens)
    if model := only(headers, _SUMMARY_MODEL):
        options.context.summary_model = model


def timeout_seconds(headers: Headers) -> float | None:
    """How long the caller will wait, None when it does not say. Raises: InvalidFields."""
    text = only(headers, TIMEOUT)
    if not text:
        return None
    if not _SECONDS.fullmatch(text) or not float(text):
        raise invalid(TIMEOUT, "must be seconds above 0, with at most 3 decimals")
    return float(text)


def _tags(text: str) -> Iterator[tuple[str, str]]:
    """name=value pairs with commas between; in values, %2C stands for a comma."""
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, sign, value = pair.partition("=")
        if not sign:
            raise invalid(_TAGS, "must be name=value pairs with commas between")
        yield unquote(name.strip()), unquote(value.strip())


def _choice(headers: Headers, name: str, values: Mapping[str, ValueT]) -> ValueT | None:
    """What the header's word stands for; None without the header. Raises: InvalidFields."""
    word = only(headers, name)
    if word and word not in values:
        raise invalid(name, f"must be one of: {', '.join(values)}")
    return values.get(word)


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
    if summary.idempotent_replay:
        told["idempotent-replay"] = "true"
    if summary.HasField("similarity"):
        told["similarity"] = f"{summary.similarity:.4f}"
    if summary.cache_refused_by:
        told["cache-refused-by"] = summary.cache_refused_by
    if summary.feedback_token:
        told["feedback-token"] = summary.feedback_token
    if summary.warnings:
        told["warnings"] = "; ".join(summary.warnings)[:WARNINGS_CHARS_MAX]
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
