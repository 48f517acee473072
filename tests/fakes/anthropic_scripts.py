"""What the fake of Anthropic's API answers, whole and as events, by script."""

from collections.abc import Iterator
from typing import Any

THINKING = {
    "type": "thinking",
    "thinking": "It is late. Say so.",
    "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds",
}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIw"}
CALLS = [
    {
        "type": "tool_use",
        "id": f"toolu_0{at}",
        "name": "weather",
        "input": {"city": "Zürich", "days": at},
    }
    for at in range(2)
]
CITED = {
    "type": "text",
    "text": "The grass is green.",
    "citations": [
        {
            "type": "char_location",
            "cited_text": "The grass is green.",
            "document_index": 0,
            "document_title": "Colours",
            "start_char_index": 0,
            "end_char_index": 20,
        }
    ],
}
FETCHED = {"type": "text", "media_type": "text/plain", "data": "Hello."}
SERVER = [
    {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_fetch",
        "input": {"url": "https://x.test/"},
    },
    {
        "type": "web_fetch_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {
            "type": "web_fetch_result",
            "url": "https://x.test/",
            "retrieved_at": None,
            "content": {"type": "document", "source": FETCHED},
        },
    },
]
ERRORS: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "too-long": (
        400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", {},
    ),
    "no-credit": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. canary",
        {},
    ),
    "bad-option": (400, "invalid_request_error", "temperature: Input should be less canary", {}),
    "bad-key": (401, "authentication_error", "invalid x-api-key canary", {}),
    "no-model": (404, "not_found_error", "model: canary", {}),
    "too-large": (413, "request_too_large", "Request exceeds the maximum size", {}),
    "limited": (429, "rate_limit_error", "canary", {"retry-after": "7"}),
    "limited-until": (
        429,
        "rate_limit_error",
        "canary",
        {
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2000-01-01T00:00:00Z",
        },
    ),
    "overloaded": (529, "overloaded_error", "Overloaded", {}),
    "failed": (500, "api_error", "canary", {}),
}  # fmt: skip


def text_in(body: dict[str, Any]) -> str:
    """What the caller said last."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", block["type"]) for block in content)


def content_of(script: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of the answer."""
    said = {"type": "text", "text": f"You said: {text_in(body)}"}
    scripts: dict[str, list[dict[str, Any]]] = {
        "tools": [said, *CALLS],
        "thinking": [THINKING, REDACTED, said, CALLS[0]],
        "cited": [said, CITED],
        "server": [said, *SERVER, {"type": "text", "text": "Fetched."}],
        "empty": [],
    }
    return scripts.get(script, [said])


def ending_of(script: str) -> dict[str, Any]:
    """Why the answer stopped."""
    reasons = {
        "tools": "tool_use",
        "thinking": "tool_use",
        "long": "max_tokens",
        "refused": "refusal",
        "paused": "pause_turn",
        "stopped": "stop_sequence",
        "window": "model_context_window_exceeded",
    }
    sequence = "END" if script == "stopped" else None
    return {"stop_reason": reasons.get(script, "end_turn"), "stop_sequence": sequence}


def usage_of(script: str) -> dict[str, Any] | None:
    """The tokens."""
    usage: dict[str, Any] = {
        "input_tokens": 11,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 5,
        "service_tier": "standard",
    }
    if script == "usage-missing":
        return None
    if script == "usage-cached":
        usage |= {
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 2000,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        }
    if script == "usage-impossible":
        usage |= {
            "cache_creation_input_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 100},
        }
    if script == "usage-thinking":
        usage["output_tokens_details"] = {"thinking_tokens": 3}
    return usage


def answer_of(script: str, body: dict[str, Any]) -> dict[str, Any]:
    """A whole answer."""
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": body["model"] + "-20260101",
        "content": content_of(script, body),
        **ending_of(script),
        "usage": usage_of(script),
    }


def events_of(script: str, body: dict[str, Any]) -> Iterator[Any]:
    """The events of a stream; "reset" and "hang" are for the server."""
    usage = usage_of(script)
    head = answer_of(script, body) | {"content": [], "stop_reason": None}
    begun = None if usage is None else usage | {"output_tokens": 1}
    yield {"type": "message_start", "message": head | {"usage": begun}}
    yield {"type": "ping"}
    for index, block in enumerate(content_of(script, body)):
        yield from _block_events(index, block)
        if script == "reset":
            yield "reset"
        if script == "hang-later":
            yield "hang"
        if script == "error-inside":
            error = {"type": "overloaded_error", "message": "canary"}
            yield {"type": "error", "error": error}
            return
    names = ("output_tokens", "output_tokens_details")
    last = None if usage is None else {name: usage[name] for name in names if name in usage}
    yield {"type": "message_delta", "delta": ending_of(script), "usage": last}
    yield {"type": "message_stop"}


def _block_events(index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = block["type"]
    start, deltas = dict(block), []
    if kind == "text":
        start = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in _halves(block["text"])]
        cited = block.get("citations", [])
        deltas += [{"type": "citations_delta", "citation": one} for one in cited]
    elif kind == "thinking":
        start = {"type": "thinking", "thinking": "", "signature": ""}
        pieces = _halves(block["thinking"])
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind in ("tool_use", "server_tool_use"):
        start["input"] = {}
        text = _json(block["input"])
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in ("", *_halves(text))]
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _halves(text: str) -> tuple[str, str]:
    middle = len(text) // 2
    return text[:middle], text[middle:]


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
