"""Running the day: every row once, conversations with their history, no task left behind."""

import asyncio
from collections import Counter

import pytest

from cli.demo_call import Ask, Manner
from cli.demo_outcome import Outcome
from cli.demo_rows import load_day
from cli.demo_run import DayRun
from tests.fakes.demo_gateway import Gateway

MANNER = Manner(strong_model="big")


async def test_every_row_runs_once_and_comes_back_in_the_days_order() -> None:
    """Outcomes are told as they end and returned in the day's order."""
    gateway, told, day = Gateway(), [], load_day()
    outcomes = await DayRun(day, gateway.send, manner=MANNER, tell=told.append).run()
    assert [outcome.row for outcome in outcomes] == list(day.rows)
    assert Counter(o.row.id for o in told) == Counter(row.id for row in day.rows)


async def test_a_session_never_speaks_twice_at_once() -> None:
    """Several callers share the day, each session stays in order."""
    gateway = Gateway()
    await DayRun(load_day(), gateway.send, manner=MANNER, tell=lambda _: None, callers=4).run()
    assert gateway.twice == []
    assert gateway.most >= 4


async def test_a_conversation_carries_what_was_said() -> None:
    """The seventh turn holds six questions with their answers, and the strong model's name."""
    gateway = Gateway()
    await DayRun(load_day(), gateway.send, manner=MANNER, tell=lambda _: None).run()
    talk = [ask for ask in gateway.asks if ask.row.session == "talk-tent"]
    assert len(talk[-1].prompt.messages) == 1 + 2 * 6 + 1
    assert talk[-1].prompt.messages[2].content == f"answer to {talk[0].row.text}"
    stove = [ask for ask in gateway.asks if ask.row.session == "talk-stove"]
    assert {ask.model for ask in stove} == {"big"}


async def test_other_upstreams_get_room_and_no_stop_texts() -> None:
    """Where stop texts are refused none are sent, and answers may end by themselves."""
    gateway, day = Gateway(), load_day()
    manner = Manner(strong_model="big", keep_stop=False, output_tokens_min=200)
    await DayRun(day, gateway.send, manner=manner, tell=lambda _: None).run()
    assert all(not ask.prompt.sampling.stop for ask in gateway.asks)
    assert {ask.prompt.sampling.output_tokens_max for ask in gateway.asks} == {200}


async def test_a_cancelled_day_leaves_no_call_behind() -> None:
    """Ctrl-C ends the calls under way."""
    ended = []

    async def hang(ask: Ask) -> Outcome:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(ask.row.id)
        raise AssertionError

    run = asyncio.create_task(
        DayRun(load_day(), hang, manner=MANNER, tell=lambda _: None, callers=3).run()
    )
    await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert len(ended) == 3


async def test_an_error_of_ours_ends_the_run_and_its_calls() -> None:
    """What send() raises is not swallowed."""

    async def broken(ask: Ask) -> Outcome:
        raise RuntimeError("no channel")

    with pytest.raises(RuntimeError, match="no channel"):
        await DayRun(load_day(), broken, manner=MANNER, tell=lambda _: None).run()
