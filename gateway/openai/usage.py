"""Token numbers of OpenAI's API and the disjoint buckets of the books, both ways.

OpenAI counts cached, spoken and picture tokens inside `prompt_tokens`, reasoning, spoken and
picture ones inside `completion_tokens`. Servers that speak the same protocol differ, and
`total_tokens` tells how: xAI puts reasoning on top of `completion_tokens`, Gemini does so without
naming it, DeepSeek has its own name for cached tokens.
"""

from dataclasses import dataclass, field
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.providers.port import ToldTokens

TOKENS_MAX = 10**12

# Of DeepSeek and of Mistral.
_CACHED_NAMES = ("prompt_cache_hit_tokens", "num_cached_tokens")
_CACHE_WRITE_NAMES = ("cache_write_tokens", "cache_creation_tokens")


class _CannotBe(Exception):
    """The numbers contradict each other."""


@dataclass(frozen=True, slots=True)
class UsageReading:
    """What a provider's numbers say."""

    # None: none were told, or they cannot be.
    usage: chat_pb2.TokenUsage | None
    impossible: bool = False
    # Tokens read and written in all, as told. What is in `usage` adds up to them.
    told: ToldTokens | None = field(default=None, compare=False)


def read_usage(value: Any) -> UsageReading:
    """The `usage` object of an answer or a chunk, None when there was none."""
    if value is None:
        return UsageReading(None)
    try:
        usage, told = _read(value)
        return UsageReading(usage, told=told)
    except _CannotBe:
        return UsageReading(None, impossible=True)


def render_usage(usage: chat_pb2.TokenUsage) -> dict[str, Any]:
    """The buckets as OpenAI's `usage` object."""
    cache_writes = usage.cache_write_tokens + usage.cache_write_1h_tokens
    prompt = usage.input_tokens + usage.cached_input_tokens + cache_writes
    prompt += usage.audio_input_tokens + usage.image_input_tokens
    completion = usage.output_tokens + usage.reasoning_tokens
    completion += usage.audio_output_tokens + usage.image_output_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": cache_writes,
            "audio_tokens": usage.audio_input_tokens,
            "image_tokens": usage.image_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "image_tokens": usage.image_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _read(value: Any) -> tuple[chat_pb2.TokenUsage, ToldTokens]:
    usage = _object(value)
    read = _object(usage.get("prompt_tokens_details"))
    written = _object(usage.get("completion_tokens_details"))
    prompt = _tokens(usage, "prompt_tokens")
    completion = _tokens(usage, "completion_tokens")
    cached = _tokens(read, "cached_tokens") or next(
        (n for name in _CACHED_NAMES if (n := _tokens(usage, name))), 0
    )
    cache_write = next((n for name in _CACHE_WRITE_NAMES if (n := _tokens(read, name))), 0)
    audio_read = _tokens(read, "audio_tokens")
    audio_written = _tokens(written, "audio_tokens")
    image_read = _tokens(read, "image_tokens")
    image_written = _tokens(written, "image_tokens")
    reasoning = _tokens(written, "reasoning_tokens")
    on_top = _on_top(usage, prompt, completion, reasoning)
    if on_top:
        reasoning = on_top
        completion += on_top
    text_read = prompt - cached - cache_write - audio_read - image_read
    text_written = completion - reasoning - audio_written - image_written
    # No prompt is empty: a zero there stands for "not counted".
    if prompt == 0 or text_read < 0 or text_written < 0:
        raise _CannotBe
    buckets = chat_pb2.TokenUsage(
        input_tokens=text_read,
        cached_input_tokens=cached,
        cache_write_tokens=cache_write,
        output_tokens=text_written,
        reasoning_tokens=reasoning,
        audio_input_tokens=audio_read,
        audio_output_tokens=audio_written,
        image_input_tokens=image_read,
        image_output_tokens=image_written,
    )
    return buckets, ToldTokens(prompt, completion)


def _on_top(usage: dict[str, Any], prompt: int, completion: int, reasoning: int) -> int:
    """Reasoning tokens that `completion_tokens` leaves out."""
    if usage.get("total_tokens") is None:
        return 0
    unnamed = _tokens(usage, "total_tokens") - prompt - completion
    if unnamed == 0 or (unnamed > 0 and reasoning in {0, unnamed}):
        return unnamed
    raise _CannotBe


def _object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _CannotBe
    return value


def _tokens(values: dict[str, Any], name: str) -> int:
    count = values.get(name)
    if count is None:
        return 0
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= TOKENS_MAX:
        raise _CannotBe
    return count
