import json
from collections.abc import Callable
from typing import Any

import pytest
from spendgate.chat.v1 import chat_pb2 as chat

from chassis.errors import InvalidFields
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.tools import measure_tools

MeterFor = Callable[[str], Meter]


def tally_of(meter_for: MeterFor, prompt: chat.Prompt, model: str = "gpt-4o") -> Tally:
    tally = Tally()
    measure_tools(prompt, meter_for(model), tally)
    return tally


def tool_with(schema: Any) -> chat.Prompt:
    return chat.Prompt(tools=[chat.Tool(name="find", parameters_json=json.dumps(schema))])


def test_no_tools_cost_nothing(meter_for: MeterFor) -> None:
    """Without tools and schema there is nothing to add, for any vendor."""
    assert tally_of(meter_for, chat.Prompt()).tokens == 0
    assert tally_of(meter_for, chat.Prompt(), "claude-opus-4-5").tokens == 0


@pytest.mark.parametrize("schema", ["", "{}", '{"type": "object", "properties": {}}'])
def test_a_function_without_parameters(meter_for: MeterFor, schema: str) -> None:
    """A function without properties costs its line, its markup and the end of the tools."""
    tools = [chat.Tool(name="ping", description="Answers.", parameters_json=schema)]
    tally = tally_of(meter_for, chat.Prompt(tools=tools))
    assert (tally.tokens, tally.estimated) == (7 + len(["ping", ":", "Answers"]) + 12, False)


def test_what_the_formula_does_not_cover_is_estimated(meter_for: MeterFor) -> None:
    """A nested schema is counted as its text, and the count says that it is an estimate."""
    flat = {"type": "object", "properties": {"where": {"type": "object"}}}
    deep = {
        "type": "object",
        "properties": {
            "where": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    plain, nested = tally_of(meter_for, tool_with(flat)), tally_of(meter_for, tool_with(deep))
    assert (plain.estimated, nested.estimated) == (False, True)
    assert nested.tokens > plain.tokens + 5
    assert nested.bound_permille > 0


@pytest.mark.parametrize(
    "properties",
    [
        {"a": True},
        {"a": {"type": ["string", "null"], "description": 7, "enum": [1, None, "x"]}},
        {"a": {"enum": "no list"}},
        {"": {}},
        [],
        "none",
    ],
)
def test_odd_schemas_are_counted(meter_for: MeterFor, properties: Any) -> None:
    """JSON Schema allows much; whatever is valid JSON gets a count."""
    assert tally_of(meter_for, tool_with({"properties": properties})).tokens > 19


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "is not a JSON object"),
        ('"text"', "is not a JSON object"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "is nested too deeply"),
        ("1" * 5000, "is not valid JSON"),
    ],
)
def test_a_schema_that_is_no_object_is_refused(meter_for: MeterFor, text: str, why: str) -> None:
    """The refusal names the field and the rule, not the text."""
    with pytest.raises(InvalidFields) as refused:
        tally_of(
            meter_for,
            chat.Prompt(tools=[chat.Tool(name="a"), chat.Tool(name="b", parameters_json=text)]),
        )
    assert refused.value.reason == "PROMPT_INVALID"
    violation = refused.value.violations[0]
    assert (violation.field, violation.description) == ("prompt.tools[1].parameters_json", why)


def test_a_schema_for_the_answer_costs_its_text(meter_for: MeterFor) -> None:
    """A response format with a schema is read by the model; without one it costs nothing."""
    schema = {"name": "order", "schema": {"type": "object", "properties": {"id": {}}}}
    told = json.dumps({"type": "json_schema", "json_schema": schema})
    assert tally_of(meter_for, chat.Prompt(response_format_json=told)).tokens > 10
    for free in ('{"type": "json_object"}', '{"type": "text"}'):
        assert tally_of(meter_for, chat.Prompt(response_format_json=free)).tokens == 0
    with pytest.raises(InvalidFields):
        tally_of(meter_for, chat.Prompt(response_format_json="{"))


def test_a_tool_that_is_no_function_is_counted_unread(meter_for: MeterFor) -> None:
    """A vendor's own tool costs at least its text, as an estimate."""
    tool = chat.Tool(extra_json='{"type": "web_search", "filters": {"allowed": ["a.example"]}}')
    tally = tally_of(meter_for, chat.Prompt(tools=[tool]))
    assert tally.tokens > 15
    assert tally.estimated


def test_claude_reads_a_tool_prompt_first(meter_for: MeterFor) -> None:
    """Anthropic's tool-use prompt comes once, however many tools there are."""
    one = tally_of(meter_for, chat.Prompt(tools=[chat.Tool(name="ping")]), "claude-opus-4-5")
    two = tally_of(meter_for, chat.Prompt(tools=[chat.Tool(name="ping")] * 2), "claude-opus-4-5")
    assert one.tokens > 346
    assert two.tokens - one.tokens < 10
