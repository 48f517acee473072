import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.escalate import Check, Costs, agree, plan_for, stands

CHEAP = [("a", Costs(10, 30)), ("b", Costs(20, 40))]
STRONG = ("s", Costs(400, 900))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", " 42. "),
        ("The answer is 1,234.", "Step by step...\n#### 1234"),
        (r"so \boxed{\frac{1}{2}}", r"\boxed{\frac{1}{2}}"),
        ("0.5", "1/2"),
        ("Positive", "positive."),
        ("(B)", "B"),
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


def test_a_plan_holds_the_worst_case_of_all_its_steps() -> None:
    """Expected: both cheap calls and the strong one as often as they disagree; worst: all."""
    plan = plan_for(CHEAP, STRONG, agreed_percent=60).plan
    assert plan is not None
    assert plan.expected_nanos == 30 + 160
    assert plan.worst_nanos == 30 + 40 + 900
    assert [step.model for step in plan.steps] == ["a", "b", "s"]
    assert Check.AGREEMENT in plan.steps[0].checks
    assert plan.steps[-1].checks == ()


@pytest.mark.parametrize("agreed", [None, 0, 44, 49])
def test_a_plan_is_declined_where_it_does_not_pay(agreed: int | None) -> None:
    """Unknown or rare agreement: no plan, and a reason with the number."""
    offer = plan_for(CHEAP, STRONG, agreed_percent=agreed)
    assert offer.plan is None
    assert offer.reason


def test_a_dear_second_model_is_declined() -> None:
    """Cheap calls that cost nearly as much as the strong one save nothing."""
    assert plan_for([("a", Costs(390, 500))], STRONG, agreed_percent=90).plan is None


@pytest.mark.parametrize(
    ("check", "text", "finish", "good"),
    [
        (Check.FINISHED, "x", "length", False),
        (Check.FINISHED, "x", "stop", True),
        (Check.NOT_EMPTY, "  ", "stop", False),
        (Check.JSON, "{", "stop", False),
        (Check.JSON, '{"a": 1}', "stop", True),
    ],
)
def test_an_answer_stands_or_falls(check: Check, text: str, finish: str, good: bool) -> None:
    """Cut off, empty and broken answers fall."""
    assert stands([check], text, finish) is good


def test_a_broken_tool_call_falls() -> None:
    """A call whose arguments do not fit its schema is asked again of the strong model."""
    assert not stands([Check.TOOL_CALL], "", "tool_calls", tool_call_valid=False)
