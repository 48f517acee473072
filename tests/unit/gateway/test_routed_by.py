"""What the router is told of a caller's budget and session."""

import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import budget_pb2, hold_pb2

from gateway.saga.budget_use import BUDGET_SECONDS_MAX, used_percent
from gateway.saga.sessions import SESSION_SECONDS_MAX, WARM_SECONDS_MAX
from tests.fakes.saga_house import House

BUDGETED = "routing: {policy: budget}\n"


def budget(budget_id, limit, settled, reserved=0, **scope):
    return budget_pb2.Budget(
        budget_id=budget_id,
        scope=budget_pb2.BudgetScope(tenant="acme", **scope),
        limit_nanos=limit,
        settled_nanos=settled,
        reserved_nanos=reserved,
    )


async def asked(house, text="hello", **options):
    await house.complete(text, **options)
    await house.books.drain()
    return house.services.asked["route"][-1]


async def test_a_new_callers_budgets_are_looked_up_once():
    """The one with the least left of those that apply; afterwards the ledger's answers tell."""
    house = House(BUDGETED)
    house.services.kept_budgets = [
        budget("wide", 1000, 100),
        budget("narrow", 500, 350, 60, feature="chat"),
        budget("elsewhere", 10, 10, feature="search"),
    ]
    first = await asked(house, feature="chat")
    assert first.budget_used_percent == 82
    house.services.tightest = hold_pb2.BudgetLeft(
        budget_id="narrow", left_nanos=25, limit_nanos=500
    )
    await asked(house, "again", feature="chat")
    third = await asked(house, "and again", feature="chat")
    assert third.budget_used_percent == 95
    assert len(house.services.asked["budgets"]) == 1


async def test_what_was_known_grows_old():
    """After BUDGET_SECONDS_MAX the ledger is asked anew; while it is away the old is taken."""
    house = House(BUDGETED)
    house.services.kept_budgets = [budget("all", 100, 80)]
    await asked(house)
    house.services.tightest = hold_pb2.BudgetLeft(budget_id="all", left_nanos=10, limit_nanos=100)
    await asked(house, "two")
    house.clock += BUDGET_SECONDS_MAX + 1
    house.services.kept_budgets = [budget("all", 100, 10)]
    assert (await asked(house, "three")).budget_used_percent == 10
    house.clock += BUDGET_SECONDS_MAX + 1
    house.services.fail["budgets"] = RuntimeError("gone")
    assert (await asked(house, "four")).budget_used_percent == 90


async def test_without_a_budget_nothing_is_said():
    """No share of nothing; other policies ask no ledger."""
    house = House(BUDGETED)
    assert not (await asked(house)).HasField("budget_used_percent")
    other = House("routing: {policy: target}\n")
    assert not (await asked(other)).HasField("budget_used_percent")
    assert other.services.asked["budgets"] == []


@pytest.mark.parametrize(
    ("left", "limit", "percent"),
    [(100, 100, 0), (20, 100, 80), (-50, 100, 150), (0, 0, 1000), (-(10**12), 1, 1000)],
)
def test_the_share_of_a_limit(left, limit, percent):
    """Over 100 after an overage, and bounded."""
    assert used_percent(left, limit) == percent


def long_prompt(house, read=2_000, cached=0):
    house.provider.script = [
        chat_pb2.TokenUsage(input_tokens=read - cached, cached_input_tokens=cached, output_tokens=5)
    ]


async def test_a_session_tells_its_last_model_and_what_is_warm():
    """As long as a provider keeps a prompt, then only the model."""
    house = House()
    long_prompt(house)
    first = await asked(house, session="s1")
    assert (first.session_model, first.warm_input_tokens) == ("", 0)
    long_prompt(house, cached=1_500)
    second = await asked(house, "two", session="s1")
    assert (second.session_model, second.warm_input_tokens) == ("cheap", 2_000)
    house.clock += WARM_SECONDS_MAX + 1
    third = await asked(house, "three", session="s1")
    assert (third.session_model, third.warm_input_tokens) == ("cheap", 0)
    house.clock += SESSION_SECONDS_MAX + 1
    assert (await asked(house, "four", session="s1")).session_model == ""


async def test_sessions_of_others_are_others():
    """By tenant, project and user; without a session there is none."""
    house = House()
    long_prompt(house)
    await asked(house, session="s1", user="ann")
    assert (await asked(house, "two", session="s1", user="bob")).session_model == ""
    assert (await asked(house, "three", user="ann")).session_model == ""


async def test_a_provider_that_keeps_nothing_holds_no_session():
    """It was expected to read from its cache and did not: nothing counts as warm from then on."""
    house = House()
    for text in ("one", "two"):
        long_prompt(house)
        await asked(house, text, session="s1")
    third = await asked(house, "three", session="s1")
    assert (third.session_model, third.warm_input_tokens) == ("cheap", 0)


async def test_a_short_prompt_is_in_no_cache():
    """Providers keep beginnings from 1,024 tokens on."""
    house = House()
    await asked(house, session="s1")
    assert (await asked(house, "two", session="s1")).warm_input_tokens == 0
