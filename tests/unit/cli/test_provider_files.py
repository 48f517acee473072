"""Providers' own exports, in the shapes that they document."""

import json
from decimal import Decimal

import pytest

from cli.provider_files import Lines, Unreadable, messages, read

OPENAI_USAGE = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": 1_730_419_200,
            "end_time": 1_730_505_600,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": 1_000,
                    "output_tokens": 500,
                    "input_cached_tokens": 800,
                    "input_audio_tokens": 50,
                    "num_model_requests": 5,
                    "model": "gpt-4o-2024-08-06",
                    "project_id": None,
                }
            ],
        }
    ],
    "has_more": False,
}
OPENAI_COST = {
    "data": [
        {
            "start_time": 1_730_419_200,
            "results": [
                {
                    "amount": {"value": 0.06, "currency": "usd"},
                    "line_item": "gpt-4o-2024-08-06, input",
                },
                {
                    "amount": {"value": 0.005, "currency": "usd"},
                    "line_item": "gpt-4o-2024-08-06, output",
                },
            ],
        }
    ]
}
ANTHROPIC_USAGE = {
    "data": [
        {
            "starting_at": "2025-08-01T00:00:00Z",
            "ending_at": "2025-08-02T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 1_500,
                    "cache_creation": {
                        "ephemeral_1h_input_tokens": 1_000,
                        "ephemeral_5m_input_tokens": 500,
                    },
                    "cache_read_input_tokens": 200,
                    "output_tokens": 500,
                    "model": "claude-sonnet-4-20250514",
                }
            ],
        }
    ]
}
ANTHROPIC_COST = {
    "data": [
        {
            "starting_at": "2025-08-01T00:00:00Z",
            "results": [
                {
                    "currency": "USD",
                    "amount": "123.78912",
                    "cost_type": "tokens",
                    "model": "claude-sonnet-4-20250514",
                }
            ],
        }
    ]
}


def _read(provider: str, *texts: str):
    lines = Lines()
    for text in texts:
        read(text, provider, lines)
    (message,) = messages(lines, "")
    return message


def test_openais_totals_become_disjoint_buckets() -> None:
    """Their input holds what was cached and what was sound; costs are in dollars."""
    told = _read("openai", json.dumps(OPENAI_USAGE))
    assert (told.day, told.model) == ("2024-11-01", "gpt-4o-2024-08-06")
    assert (told.usage.input_tokens, told.usage.cached_input_tokens) == (150, 800)
    assert (told.usage.audio_input_tokens, told.usage.output_tokens) == (50, 500)
    assert told.request_count == 5
    assert not told.HasField("cost_nanos")
    both = _read("openai", json.dumps(OPENAI_USAGE), json.dumps(OPENAI_COST))
    assert both.cost_nanos == 65_000_000


def test_anthropics_costs_are_cents_and_its_buckets_disjoint() -> None:
    """ "123.78912" is one dollar and some cents, to the nano."""
    told = _read("anthropic", json.dumps(ANTHROPIC_USAGE), json.dumps(ANTHROPIC_COST))
    assert (told.day, told.model) == ("2025-08-01", "claude-sonnet-4-20250514")
    assert told.usage.input_tokens == 1_500
    assert told.usage.cache_write_tokens == 500
    assert told.usage.cache_write_1h_tokens == 1_000
    assert told.cost_nanos == int(Decimal("1.2378912") * 10**9)
    assert not told.HasField("request_count")


def test_a_page_a_line_and_a_list_of_pages_are_read_too() -> None:
    """And add up."""
    page = json.dumps(OPENAI_USAGE)
    assert _read("openai", f"{page}\n{page}\n").request_count == 10
    assert _read("openai", f"[{page}, {page}]").request_count == 10


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[1, 2]",
        '{"data": [{"start_time": 1, "results": [{"model": "m"}]}]}',
        '{"data": [{"start_time": "x", "results": [{}]}]}',
        '{"data": [{"start_time": 1, "results": [{"input_tokens": 1, "input_cached_tokens": 2,'
        ' "num_model_requests": 1}]}]}',
        '{"data": [{"start_time": 1, "results": [{"amount": {"value": 1, "currency": "eur"}}]}]}',
        '{"data": [{"start_time": 1, "results": [{"amount": {"value": "x", "currency": "usd"}}]}]}',
    ],
)
def test_what_is_no_export_is_told_without_its_contents(text: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(Unreadable):
        read(text, "openai", Lines())
