"""Retry-After in all its forms, bounded; what a server at an address is taken for."""

import pytest

from gateway.providers.dialects import dialect_of
from gateway.providers.http import RETRY_AFTER_SECONDS_MAX, retry_after_seconds

# 2026-11-23 12:00:00 UTC
NOW = 1_795_435_200.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 9999 12:00:30 GMT"}, RETRY_AFTER_SECONDS_MAX),
        ({"retry-after": "999999999"}, RETRY_AFTER_SECONDS_MAX),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\u0663"}, None),
        ({"retry-after": "Mon, 99 Nov 2026 12:00:30 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds or a date; nonsense is nothing, and nobody waits for ever."""
    assert retry_after_seconds(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://x.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://api.openai.com.example.org/v1", "max_tokens"),
        ("http://127.0.0.1:8000/v1", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_the_server_knows(base_url: str, field: str) -> None:
    """OpenAI's newer models refuse `max_tokens`, other servers know nothing else."""
    assert dialect_of(base_url).limit_field == field
