"""Gemini's `usageMetadata` and the disjoint buckets of the books.

`promptTokenCount` holds cached tokens and those of all kinds of content; what a tool of the
provider's own read comes on top of it (`toolUsePromptTokenCount`), thoughts on top of
`candidatesTokenCount`. Source: ai.google.dev/api/generate-content#UsageMetadata.
"""

from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.openai.usage import TOKENS_MAX, UsageReading
from gateway.providers.port import ToldTokens


class _CannotBe(Exception):
    """The numbers contradict each other."""


def read_usage_metadata(value: Any) -> UsageReading:
    """The `usageMetadata` of an answer, None when there was none."""
    if value is None:
        return UsageReading(None)
    try:
        usage, told = _read(value)
    except _CannotBe:
        return UsageReading(None, impossible=True)
    return UsageReading(usage, told=told)


def _read(value: Any) -> tuple[chat_pb2.TokenUsage, ToldTokens]:
    if not isinstance(value, dict):
        raise _CannotBe
    read = _tokens(value, "promptTokenCount") + _tokens(value, "toolUsePromptTokenCount")
    cached = _tokens(value, "cachedContentTokenCount")
    written = _tokens(value, "candidatesTokenCount")
    thoughts = _tokens(value, "thoughtsTokenCount")
    heard = _spoken(value, "promptTokensDetails") - _spoken(value, "cacheTokensDetails")
    said = _spoken(value, "candidatesTokensDetails")
    if value.get("totalTokenCount") is not None:
        unnamed = _tokens(value, "totalTokenCount") - read - written - thoughts
        if unnamed < 0:
            raise _CannotBe
        # Older versions leave thoughts out of every number but the total.
        thoughts += unnamed
    usage = {
        "input_tokens": read - cached - heard,
        "cached_input_tokens": cached,
        "output_tokens": written - said,
        "reasoning_tokens": thoughts,
        "audio_input_tokens": heard,
        "audio_output_tokens": said,
    }
    # No prompt is empty: a zero there stands for "not counted".
    if read == 0 or min(usage.values()) < 0:
        raise _CannotBe
    return chat_pb2.TokenUsage(**usage), ToldTokens(read, written + thoughts)


def _spoken(value: dict[str, Any], name: str) -> int:
    details = value.get(name) or []
    if not isinstance(details, list):
        raise _CannotBe
    return sum(
        _tokens(each, "tokenCount")
        for each in details
        if isinstance(each, dict) and each.get("modality") == "AUDIO"
    )


def _tokens(values: dict[str, Any], name: str) -> int:
    count = values.get(name)
    if count is None:
        return 0
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= TOKENS_MAX:
        raise _CannotBe
    return count
