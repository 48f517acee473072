"""Token numbers of Anthropic's API and the disjoint buckets of the books, both ways.

Anthropic counts cached tokens apart from `input_tokens`, and thinking inside `output_tokens`. In a
stream `message_start` tells what was read and `message_delta` what was written; newer numbers take
the place of older ones.
"""

from collections.abc import Mapping
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.openai.usage import TOKENS_MAX, UsageReading
from gateway.providers.port import ToldTokens


class _CannotBe(Exception):
    """The numbers contradict each other."""


def merged(older: Mapping[str, Any] | None, newer: Any) -> Mapping[str, Any] | None:
    """The `usage` of a stream so far: what is told again takes the place of what was told."""
    if not isinstance(newer, dict):
        return older
    told = {name: value for name, value in newer.items() if value is not None}
    return {**(older or {}), **told}


def read_usage(value: Any) -> UsageReading:
    """The `usage` object of an answer, None when there was none."""
    if value is None:
        return UsageReading(None)
    try:
        usage, told = _read(value)
    except _CannotBe:
        return UsageReading(None, impossible=True)
    return UsageReading(usage, told=told)


def web_searches(value: Any) -> int:
    """Searches of the provider's own, which are billed beside tokens; 0 when none are told."""
    tools = value.get("server_tool_use") if isinstance(value, dict) else None
    count = tools.get("web_search_requests") if isinstance(tools, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def render_usage(usage: chat_pb2.TokenUsage) -> dict[str, Any]:
    """The buckets as Anthropic's `usage` object."""
    return {
        "input_tokens": usage.input_tokens + usage.audio_input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens + usage.reasoning_tokens + usage.audio_output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
    }


def _read(value: Any) -> tuple[chat_pb2.TokenUsage, ToldTokens]:
    usage = _object(value)
    fresh = _tokens(usage, "input_tokens")
    cached = _tokens(usage, "cache_read_input_tokens")
    short, long = _writes(usage)
    written = _tokens(usage, "output_tokens")
    thinking = _tokens(_object(usage.get("output_tokens_details")), "thinking_tokens")
    read = fresh + cached + short + long
    # No prompt is empty: a zero there stands for "not counted".
    if read == 0 or thinking > written:
        raise _CannotBe
    buckets = chat_pb2.TokenUsage(
        input_tokens=fresh,
        cached_input_tokens=cached,
        cache_write_tokens=short,
        cache_write_1h_tokens=long,
        output_tokens=written - thinking,
        reasoning_tokens=thinking,
    )
    return buckets, ToldTokens(read, written)


def _writes(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens written to the prompt cache, for five minutes and for an hour."""
    whole = _tokens(usage, "cache_creation_input_tokens")
    parts = _object(usage.get("cache_creation"))
    short = _tokens(parts, "ephemeral_5m_input_tokens")
    long = _tokens(parts, "ephemeral_1h_input_tokens")
    if short + long == 0:
        # Without the breakdown: the class that is asked for by default.
        return whole, 0
    if whole not in (0, short + long):
        raise _CannotBe
    return short, long


def _object(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _CannotBe
    return value


def _tokens(values: Mapping[str, Any], name: str) -> int:
    count = values.get(name)
    if count is None:
        return 0
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= TOKENS_MAX:
        raise _CannotBe
    return count
