"""Requests of Anthropic's SDK, as tests make them."""

from typing import Any

from tests.fakes.anthropic_scripts import CALLS, CITED, REDACTED, SERVER, THINKING

MARKED: Any = {"type": "ephemeral", "ttl": "1h"}
PNG: Any = {"type": "base64", "media_type": "image/png", "data": "AA=="}
# All that a coding agent sends, and newer things than this knows.
TURN: Any = {
    "max_tokens": 4_000,
    "system": [
        {"type": "text", "text": "Be brief.", "cache_control": MARKED},
        {"type": "text", "text": "Today is Monday."},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": PNG, "cache_control": MARKED},
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                    "title": "Report",
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [THINKING, REDACTED, {"type": "text", "text": "Hm."}, *CALLS],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_00",
                    "content": [{"type": "text", "text": "sun"}, {"type": "image", "source": PNG}],
                    "cache_control": MARKED,
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_01",
                    "content": "no such day",
                    "is_error": True,
                },
                {"type": "text", "text": "Go on."},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, *SERVER, CITED]},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [
        {
            "name": "weather",
            "description": "Tells the weather.",
            "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
            "strict": True,
            "cache_control": MARKED,
        },
        {"type": "bash_20250124", "name": "bash"},
    ],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2_000},
    "metadata": {"user_id": "user_" + "f" * 200},
    "stop_sequences": ["END"],
    "service_tier": "standard_only",
    "output_config": {
        "effort": "medium",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    },
    "extra_body": {
        "temperature": 1.0,
        "top_p": 0.95,
        "top_k": 40,
        "context_management": {"edits": []},
        "newer_than_this": {"a": 1},
    },
    "extra_headers": {"anthropic-beta": "interleaved-thinking-2025-05-14,newer-2027-01-01"},
}


def plain_turn(model: str, text: str = "hi", **options: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 99, "messages": messages, **options}
