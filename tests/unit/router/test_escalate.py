"""Plans: what they hold, and where they are declined."""

import pytest

from catalog.checks import Check
from catalog.routing import EscalationConfig
from services.router.escalate import Costs, plan_for

CHEAP = [("a", Costs(10, 30)), ("b", Costs(20, 40))]
STRONG = ("s", Costs(400, 900))


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


@pytest.mark.parametrize("agreed", [None, 0, 44])
def test_a_declined_plan_is_tried_now_and_then(agreed: int | None) -> None:
    """Or nobody would learn that it pays by now."""
    offer = plan_for(CHEAP, STRONG, agreed_percent=agreed, trial=True)
    assert offer.plan is not None
    assert "tried" in offer.reason


@pytest.mark.parametrize(
    ("config", "agreement", "together"),
    [
        (EscalationConfig(cheap=["a", "b"], strong="s"), True, True),
        (EscalationConfig(cheap=["a", "b"], strong="s", parallel=False), True, False),
        (EscalationConfig(cheap=["a", "b"], strong="s", agreement=False), False, False),
    ],
)
def test_the_operator_says_how_the_cheap_are_asked(
    config: EscalationConfig, agreement: bool, together: bool
) -> None:
    """At once or one after the other, agreeing or each on its own checks."""
    plan = plan_for(CHEAP, STRONG, agreed_percent=60, config=config).plan
    assert plan is not None
    assert (Check.AGREEMENT in plan.steps[0].checks) is agreement
    assert plan.steps[0].parallel is together


def test_few_answers_do_not_end_a_plan() -> None:
    """It is declined when even what they may be does not pay."""
    assert plan_for(CHEAP, STRONG, agreed_percent=44, hopeful_percent=56).plan is not None
    assert plan_for(CHEAP, STRONG, agreed_percent=36, hopeful_percent=45).plan is None
