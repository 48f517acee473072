"""What Anthropic's errors mean, in the words of gateway.providers.http.

Its error types say little more than the HTTP status; what matters stands in the message. Of that
only beginnings that are fixed are looked for, and nothing of it leaves this module: it quotes
prompts.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from gateway.providers.http import RETRY_AFTER_SECONDS_MAX, ToldError, retry_after_seconds

_QUOTA = "insufficient_quota"
_TOO_LONG = "context_length_exceeded"
_REFUSED = "content_filter"
# The beginning of a message, or a part of it where what comes before is a number.
_MEANINGS = (
    (re.compile(r"prompt is too long"), _TOO_LONG),
    (re.compile(r"input length and `?max_tokens`? exceed context limit"), _TOO_LONG),
    (re.compile(r"(the )?input is too long", re.IGNORECASE), _TOO_LONG),
    (re.compile(r"input tokens? count .{0,40}exceeds", re.IGNORECASE), _TOO_LONG),
    (re.compile(r"your credit balance is too low", re.IGNORECASE), _QUOTA),
    (re.compile(r"you have reached your specified (workspace )?api usage limits", re.I), _QUOTA),
    (re.compile(r"output blocked by content filtering policy", re.IGNORECASE), _REFUSED),
)
_LOOKED_AT_CHARS = 200
# fmt: off
_PARAMS = frozenset({
    "cache_control", "container", "context_management", "inference_geo", "max_tokens",
    "mcp_servers", "messages", "metadata", "model", "output_config", "service_tier", "speed",
    "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice", "tools",
    "top_k", "top_p",
})
# fmt: on
# What is left of a limit, and when it is whole again.
_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")
_PREFIX = "anthropic-ratelimit-"


def error_words(body: bytes | None) -> ToldError:
    """What an error's body says."""
    try:
        error: Any = orjson.loads(body or b"")["error"]
        message = error["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ToldError()
    if not isinstance(message, str):
        return ToldError()
    if error.get("type") == "billing_error":
        return ToldError(_QUOTA)
    return ToldError(meaning_of(message), _param(message))


def meaning_of(message: str) -> str:
    """The code for a message of Claude's, by whichever provider it is told; "" when unknown."""
    beginning = message[:_LOOKED_AT_CHARS]
    for pattern, code in _MEANINGS:
        if pattern.match(beginning):
            return code
    return ""


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """What `retry-after` says; else when the limit is whole again of which nothing is left."""
    told = retry_after_seconds(headers, now)
    if told is not None:
        return told
    waits = [
        wait
        for limit in _LIMITS
        if headers.get(f"{_PREFIX}{limit}-remaining") == "0"
        and (wait := _until(headers.get(f"{_PREFIX}{limit}-reset", ""), now)) is not None
    ]
    return min(max(waits), RETRY_AFTER_SECONDS_MAX) if waits else None


def _until(moment: str, now: float) -> float | None:
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return max(0.0, then.timestamp() - now) if then.tzinfo is not None else None


def _param(message: str) -> str:
    """The option that a message begins with, as in "messages.0.content: ..."."""
    word = re.split(r"[^a-z_]", message, maxsplit=1)[0]
    return word if word in _PARAMS else ""
