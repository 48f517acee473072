"""Checks on answers: what stands, what falls, what agrees."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.agreement import agree
from catalog.checks import Check, Given, Wanted, all_agree, is_long, stands, wanted_of
from catalog.schema_fit import fits

NUMBER = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", " 42. "),
        ("The answer is 1,234.", "Step by step...\n#### 1234"),
        (r"so \boxed{\frac{1}{2}}", r"\boxed{\frac{1}{2}}"),
        ("0.5", "1/2"),
        ("Positive", "positive."),
        ("(B)", "B"),
        ('{"reasoning": "so", "answer": ""}', '{"reasoning": "thus", "answer": ""}'),
        ('{"x": 1, "y": ["A"]}', '```json\n{"y": ["a"], "x": 1.0}\n```'),
    ],
)
def test_answers_that_say_the_same_agree(one: str, other: str) -> None:
    """Numbers by value, JSON by content, labels without case and punctuation."""
    assert agree(one, other)
    assert agree(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "43"),
        ("", ""),
        ("true", "false"),
        ('{"x": 1}', '{"x": 2}'),
        ('{"x": true}', '{"x": 1}'),
        ('{"x": 1}', '{"x": 1, "y": 1}'),
        ('{"answer": "a", "why": 1}', '{"answer": "b", "why": 1}'),
        ("word " * 40, "word " * 40),
        ("1/0", "2/0"),
    ],
)
def test_answers_that_do_not_or_cannot_be_compared_never_agree(one: str, other: str) -> None:
    """Nothing, prose and other values are no agreement: the strong model is asked."""
    assert not agree(one, other)


@given(st.text(max_size=300), st.text(max_size=300))
def test_agreement_takes_any_text_both_ways(one: str, other: str) -> None:
    """Never an error, and the order of the answers does not matter."""
    assert agree(one, other) == agree(other, one)


@pytest.mark.parametrize(
    ("check", "answer", "good"),
    [
        (Check.FINISHED, Given("x", "length"), False),
        (Check.FINISHED, Given("x", "content_filter"), False),
        (Check.FINISHED, Given("x"), True),
        (Check.NOT_EMPTY, Given("  "), False),
        (Check.NOT_EMPTY, Given("", "tool_calls", calls=[("f", "{}")]), True),
        (Check.NOT_REFUSED, Given("", refusal="no"), False),
        (Check.NOT_REFUSED, Given("I'm sorry, but I can't help with that."), False),
        (Check.NOT_REFUSED, Given("I can see three errors in it."), True),
        (Check.NOT_REFUSED, Given("As an aide he served well."), True),
        (Check.JSON, Given("{"), False),
        (Check.JSON, Given('{"a": 1}'), True),
        (Check.JSON, Given("12"), False),
    ],
)
def test_an_answer_stands_or_falls(check: Check, answer: Given, good: bool) -> None:
    """Cut off, filtered, empty, refused and broken answers fall."""
    assert stands([check], answer, Wanted()) is good


@pytest.mark.parametrize(
    ("call", "good"),
    [
        (("count", '{"n": 1}'), True),
        (("count", '{"n": "1"}'), False),
        (("count", "{"), False),
        (("count", ""), False),
        (("other", '{"n": 1}'), False),
        (("plain", ""), True),
    ],
)
def test_a_tool_call_must_be_one_the_caller_could_run(call: tuple[str, str], good: bool) -> None:
    """A tool that is there, with arguments that fit its parameters."""
    wanted = Wanted(tools={"count": NUMBER, "plain": ""})
    given_calls = Given("", "tool_calls", calls=[call])
    assert stands([Check.TOOL_CALL], given_calls, wanted) is good


def test_a_response_format_is_held_to() -> None:
    """The schema of the request, read as OpenAI has it."""
    wanted = wanted_of(
        json.dumps({"type": "json_schema", "json_schema": {"schema": json.loads(NUMBER)}}), {}
    )
    assert stands([Check.JSON], Given('{"n": 3}'), wanted)
    assert not stands([Check.JSON], Given('{"n": "three"}'), wanted)
    assert wanted_of('{"type": "json_object"}', {}) == Wanted()
    assert wanted_of("[", {}) == Wanted()
    assert is_long([], wanted)


def test_tool_calls_agree_by_name_and_arguments() -> None:
    """Whatever their order of keys; a call and a text never do."""
    one = Given("", calls=[("f", '{"a": 1, "b": "x"}')])
    assert all_agree([one, Given("", calls=[("f", '{"b": "x", "a": 1.0}')])])
    assert not all_agree([one, Given("", calls=[("g", '{"a": 1, "b": "x"}')])])
    assert not all_agree([one, Given("f")])
    assert not all_agree([])


@pytest.mark.parametrize(
    "schema",
    [
        "nonsense",
        "[]",
        '{"type": 5}',
        '{"$ref": "http://127.0.0.1:1/elsewhere"}',
        '{"properties": {"n": {"pattern": "^(z+)+$"}}}',
    ],
)
def test_a_schema_that_cannot_be_used_refuses_no_answer(schema: str) -> None:
    """Nothing is fetched, no pattern is run."""
    assert fits({"n": "z" * 40 + "!"}, schema)


def test_a_schema_made_to_take_for_ever_is_cut_off() -> None:
    """Two to the thirtieth checks are not made."""
    doubling: dict[str, Any] = {
        f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(30)
    }
    schema = {"$defs": {**doubling, "a30": False}, "$ref": "#/$defs/a0"}
    assert not fits({}, json.dumps(schema))
