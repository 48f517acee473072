"""What the gateway refuses of Anthropic's options, and holds money for."""

import json
from typing import Any

import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.errors import InvalidFields
from gateway.anthropic.for_others import chat_prompt
from gateway.anthropic.parse import parse_messages
from gateway.anthropic.provider_errors import error_words, retry_after
from gateway.anthropic.usage import read_usage
from gateway.providers.options import Options, OptionUnsupported
from gateway.saga.ask import wants_hour_cache
from gateway.validate import check_request

BODY: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def prompt_of(**changes: Any) -> chat_pb2.Prompt:
    return parse_messages(json.dumps({**BODY, **changes}).encode()).prompt


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"speed": "fast"}, "prompt.extra_json.speed"),
        ({"inference_geo": "us"}, "prompt.extra_json.inference_geo"),
        ({"service_tier": "priority"}, "prompt.extra_json.service_tier"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "prompt.tools[0]"),
        ({"tools": [{"type": "code_execution_20250825", "name": "c"}]}, "prompt.tools[0]"),
    ],
)
def test_what_could_not_be_booked_is_refused(changes: Any, field: str) -> None:
    """A cost that cannot be computed is an error, never 0."""
    request = pb.CompleteRequest(model="m", prompt=prompt_of(**changes))
    with pytest.raises(InvalidFields) as caught:
        check_request(request, 10**6)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_what_costs_tokens_only_goes_through() -> None:
    """Tools that the caller runs, the standard speed and tier."""
    prompt = prompt_of(
        speed="standard",
        service_tier="auto",
        inference_geo="global",
        tools=[{"type": "bash_20250124", "name": "bash"}, {"type": "memory_20250818"}],
    )
    check_request(pb.CompleteRequest(model="m", prompt=prompt), 10**6)


MARKED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


@pytest.mark.parametrize(
    "changes",
    [
        MARKED,
        {"system": [{"type": "text", "text": "x", **MARKED}]},
        {"tools": [{"name": "f", "input_schema": {}, **MARKED}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", **MARKED}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "x", **MARKED}]}]},
    ],
)
def test_an_hours_cache_is_held_for(changes: Any) -> None:
    """Its writes cost twice what reading does, wherever the marker stands."""
    assert wants_hour_cache(prompt_of(**changes))
    assert not wants_hour_cache(prompt_of())


def told_to_others(policy: Any, **changes: Any) -> tuple[chat_pb2.Prompt, tuple[str, ...]]:
    options = Options("other", policy)
    return chat_prompt(prompt_of(**changes), options), options.warnings


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"context_management": {"edits": []}}, "context_management"),
        ({"newer": 1}, "newer"),
        ({"Odd Name\n": 1}, "extra_json"),
        ({"output_config": {"task_budget": 1}}, "output_config.task_budget"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.type"),
        (
            {"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]},
            "tools.defer_loading",
        ),
    ],
)
def test_what_others_lack(changes: Any, option: str) -> None:
    """By default an error that names it; by policy left out with a warning."""
    with pytest.raises(OptionUnsupported) as caught:
        told_to_others("error", **changes)
    assert caught.value.option == option
    prompt, warnings = told_to_others("drop", **changes)
    assert len(warnings) == 1
    assert option in warnings[0]
    assert "anthropic" not in prompt.extra_json


def test_hints_are_no_options() -> None:
    """Markers, labels, flags and what other models do anyway: left out without a word."""
    prompt, warnings = told_to_others(
        "error",
        metadata={"user_id": "u"},
        thinking={"type": "adaptive"},
        system=[{"type": "text", "text": "x", **MARKED}],
    )
    assert warnings == ()
    assert prompt.extra_json == ""
    assert all(not part.extra_json for part in prompt.messages[0].parts)


def test_the_prompt_given_is_left_as_it_is() -> None:
    """A chain may try Anthropic next."""
    given = prompt_of(thinking={"type": "adaptive"})
    before = given.SerializeToString()
    chat_prompt(given, Options("other", "error"))
    assert given.SerializeToString() == before


def test_a_piece_of_the_prompt_is_never_left_out() -> None:
    """Whatever the policy: it would be another question."""
    kept = {"type": "document", "source": {"type": "file", "file_id": "f"}}
    with pytest.raises(OptionUnsupported):
        told_to_others("drop", messages=[{"role": "user", "content": [kept]}])


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 0, "output_tokens": 5},
        {"input_tokens": -1, "output_tokens": 5},
        {"input_tokens": True, "output_tokens": 5},
        {"input_tokens": 10**13, "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 2}},
        {"input_tokens": 5, "output_tokens": 1, "cache_creation": []},
        [],
    ],
)
def test_impossible_numbers_are_none(usage: Any) -> None:
    """Then the gateway counts, and says so."""
    reading = read_usage(usage)
    assert reading.usage is None
    assert reading.impossible


def test_no_text_of_an_error_goes_further() -> None:
    """Only fixed beginnings are looked for."""
    for body in (
        b"",
        b"[]",
        b'{"error":1}',
        b'{"error":{"message":2}}',
        b'{"error":{"message":"x"}}',
    ):
        told = error_words(body)
        assert (told.code, told.param) == ("", "")


def test_the_limit_that_is_used_up_tells_the_wait() -> None:
    """Of several that are, the last to be whole again; those with something left do not count."""
    prefix = "anthropic-ratelimit-"
    headers = {
        prefix + "requests-remaining": "0",
        prefix + "requests-reset": "1970-01-01T00:00:05Z",
        prefix + "input-tokens-remaining": "0",
        prefix + "input-tokens-reset": "1970-01-01T00:00:09Z",
        prefix + "output-tokens-remaining": "7",
        prefix + "output-tokens-reset": "1970-01-01T00:09:00Z",
    }
    assert retry_after(headers, 2.0) == 7.0
    assert retry_after({**headers, "retry-after": "3"}, 2.0) == 3.0
    assert retry_after({prefix + "tokens-remaining": "0"}, 2.0) is None
