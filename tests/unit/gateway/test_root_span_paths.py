"""The root's cost is its attempts' on the longer ways too: races, refits, cut streams, embeddings,
leases, charges that nobody waits for."""

import asyncio
from contextlib import aclosing

import grpc
import pytest
from opentelemetry.trace import StatusCode

from chassis import names
from gateway.errors import ProviderFailed
from gateway.providers.port import Billed
from tests.fakes.saga_house import House
from tests.fakes.services import COST_NANOS, refusal
from tests.unit.gateway.test_embedding import embed
from tests.unit.gateway.test_failing_providers import HEDGE, TOO_LONG, Slow
from tests.unit.gateway.test_leases import LEASES
from tests.unit.gateway.test_root_span import Traced, lost


async def ask(house, streams, **options):
    if not streams:
        return await house.complete(cache_mode=1, **options)
    async with aclosing(house.stream(cache_mode=1, **options)) as events:
        return [event async for event in events]


async def forget(traced):
    """What was asked so far is not looked at."""
    await traced.house.books.drain()
    await asyncio.sleep(0)
    traced.exporter.clear()
    traced.house.services.asked["settle"].clear()


async def racing(streams, config=HEDGE):
    """A saga that knows the usual pace, and whose next call is slow."""
    traced = Traced(lambda telemetry: House(retry=config, telemetry=telemetry))
    for _ in range(5):
        await ask(traced.house, streams)
    await forget(traced)
    return traced, Slow(traced.house)


@pytest.mark.parametrize("streams", [False, True])
async def test_both_calls_of_a_race_are_in_the_sum(streams):
    """The slower one was overtaken, says so, and costs what it is booked with."""
    traced, _ = await racing(streams)
    await ask(traced.house, streams, hedge=True)
    root, attempts = await traced.told()
    loser, winner = sorted(attempts, key=lambda span: span.attributes[names.ATTEMPT_NUMBER])
    assert root.attributes[names.ATTEMPT_COUNT] == 2
    assert root.attributes[f"{names.COST_NANO_USD}.retries"] == COST_NANOS
    assert loser.attributes[names.ERROR_TYPE] == "OVERTAKEN"
    assert names.ERROR_TYPE not in winner.attributes


async def test_an_overtaken_call_that_is_not_charged_costs_nothing():
    """As the fleet file says of providers that do not bill it."""
    traced, _ = await racing(
        False, HEDGE.replace("calls_min: 5", "calls_min: 5, loser_charge: nothing")
    )
    await ask(traced.house, False, hedge=True)
    _, attempts = await traced.told()
    assert sorted(span.attributes[names.COST_NANO_USD] for span in attempts) == [0, COST_NANOS]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_race_that_both_lose_is_in_the_sum(streams):
    """Two calls of a race and one more try, each of them perhaps billed."""
    traced, slow = await racing(streams)
    traced.house.provider.script = [lost(), lost(), lost()]
    asyncio.get_running_loop().call_later(0.05, slow.gone.set)
    with pytest.raises(ProviderFailed):
        await ask(traced.house, streams, hedge=True)
    root, attempts = await traced.told()
    assert len(attempts) == 3
    assert root.attributes[names.COST_NANO_USD] == 3 * COST_NANOS


@pytest.mark.parametrize("streams", [False, True])
async def test_a_race_that_its_caller_leaves_has_two_spans(streams):
    """Neither answered: both end, neither costs anything."""
    traced, _ = await racing(streams)
    calls = len(traced.house.provider.calls)
    begin = traced.house.provider._begin

    async def hangs(call):
        traced.house.provider.calls.append(call)
        await asyncio.Event().wait()
        return await begin(call)

    traced.house.provider._begin = hangs
    task = asyncio.create_task(ask(traced.house, streams, hedge=True))
    async with asyncio.timeout(5):
        while len(traced.house.provider.calls) < calls + 2:
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    _, attempts = await traced.told()
    assert [span.attributes[names.ERROR_TYPE] for span in attempts] == ["CALLER_GONE"] * 2


async def test_a_refusal_that_another_model_answers_is_in_the_sum():
    """The prompt did not fit the first model: its try costs nothing and says so."""
    windows = """
models:
  cheap: {provider: fake, context_window_tokens: 100, price: PRICE}
  long: {provider: fake, context_window_tokens: 9000, price: PRICE}
""".replace("PRICE", '{input_usd_per_million: "1", output_usd_per_million: "2"}')
    traced = Traced(lambda telemetry: House(models=windows, telemetry=telemetry))
    traced.house.services.models = ["cheap", "long"]
    traced.house.provider.script = [TOO_LONG]
    await traced.house.complete()
    root, attempts = await traced.told()
    assert [span.attributes[names.COST_NANO_USD] for span in attempts] == [0, COST_NANOS]
    assert root.attributes[names.ATTEMPT_COUNT] == 2


async def test_a_stream_cut_at_its_hold_is_in_the_sum():
    """Its try did not fail and its caller did not leave: the gateway ended it."""
    traced = Traced()
    traced.house.provider.pieces = ["word "] * 500
    await ask(traced.house, True)
    root, (attempt,) = await traced.told()
    assert attempt.attributes[names.GEN_AI_OUTPUT_TOKENS] > 16
    assert attempt.status.status_code is StatusCode.UNSET
    assert root.attributes[names.COST_NANO_USD] == COST_NANOS
    assert names.EVENT_STREAM_CUT in [event.name for event in root.events]


async def test_embeddings_are_in_the_sum():
    """A retry that may be billed, then vectors; known texts call nobody."""
    traced = Traced()
    traced.house.services.models = ["vectors"]
    traced.house.embedder.fails = [lost()]
    await embed(traced.house, "aa", "b")
    root, attempts = await traced.told()
    assert [span.attributes[names.COST_NANO_USD] for span in attempts] == [COST_NANOS] * 2
    parts = [v for k, v in root.attributes.items() if k.startswith(f"{names.COST_NANO_USD}.")]
    assert sum(parts) == 2 * COST_NANOS
    await forget(traced)
    await embed(traced.house, "aa", "b")
    root, attempts = await traced.told()
    assert attempts == []
    assert root.attributes[names.ANSWER_SOURCE] == "CACHE_EXACT"


async def test_embeddings_that_fail_tell_what_they_cost():
    """The same way out as for answers."""
    traced = Traced()
    traced.house.services.models = ["vectors"]
    traced.house.embedder.fails = [lost(Billed.NO), lost()]
    with pytest.raises(ProviderFailed):
        await embed(traced.house, "aa")
    _, attempts = await traced.told()
    assert [span.attributes[names.COST_NANO_USD] for span in attempts] == [0, COST_NANOS]


def leased(telemetry):
    return House(LEASES % "", telemetry=telemetry)


@pytest.mark.parametrize("billed", [None, Billed.NO, Billed.UNKNOWN])
async def test_what_a_lease_admits_is_in_the_sum(billed):
    """Answered, failed for nothing, failed and perhaps billed."""
    traced = Traced(leased)
    for _ in range(4):
        await ask(traced.house, False)
        await traced.house.books.drain()
    await forget(traced)
    traced.house.provider.script = [] if billed is None else [lost(billed)] * 2
    await asyncio.gather(ask(traced.house, False), return_exceptions=True)
    root, attempts = await traced.told()
    assert root.attributes[names.LEASED]
    assert len(attempts) == (1 if billed is None else 2)
    await traced.house.leases.close()


@pytest.mark.parametrize("fails", [False, True])
async def test_a_charge_after_the_answer_is_in_the_sum(fails):
    """Nobody waits for the ledger; the trace says what it booked, not what was expected."""
    traced = Traced()
    traced.house.books._answer_first = True
    traced.house.provider.script = [lost()] * 2 if fails else []
    await asyncio.gather(ask(traced.house, False), return_exceptions=True)
    root, _ = await traced.told()
    assert root.attributes[names.COST_NANO_USD] == (2 if fails else 1) * COST_NANOS


@pytest.mark.parametrize("first", [False, True])
async def test_while_the_ledger_is_away_an_answer_tells_what_it_will_cost(first):
    """The gateway's own arithmetic, on the root and on its try; all of it ends."""
    traced = Traced()
    traced.house.books._answer_first = first
    traced.house.services.fail["settle"] = refusal(grpc.StatusCode.UNAVAILABLE, "")
    answer = await ask(traced.house, False)
    await traced.house.books.drain()
    await asyncio.sleep(0)
    root, (attempt,) = traced.spans()
    assert answer.summary.booking_pending
    assert root.attributes[names.COST_NANO_USD] == answer.summary.cost_nanos > 0
    assert attempt.attributes[names.COST_NANO_USD] == answer.summary.cost_nanos


@pytest.mark.parametrize("turns", range(0, 60, 2))
@pytest.mark.parametrize("away", [False, True])
async def test_a_request_cancelled_at_any_await_ends_its_spans(turns, away):
    """Also while its charge is under way, and when the ledger does not take it."""
    traced = Traced()
    if away:
        traced.house.services.fail["settle"] = refusal(grpc.StatusCode.UNAVAILABLE, "")
    task = asyncio.create_task(ask(traced.house, False))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not traced.house.services.asked["prepare"]:
        return
    if not away:
        _, attempts = await traced.told()
    else:
        await traced.house.books.drain()
        await asyncio.sleep(0)
        _, attempts = traced.spans()
    assert len(attempts) == len(traced.house.provider.calls)


async def test_a_charge_left_behind_that_the_ledger_does_not_take_tells_no_cost():
    """The caller goes while the ledger is asked, and the ledger is away: spans end, and claim
    nothing."""
    traced = Traced()
    asked, gone = asyncio.Event(), asyncio.Event()

    async def settle(item, deadline):
        asked.set()
        await gone.wait()
        raise refusal(grpc.StatusCode.UNAVAILABLE, "")

    traced.house.services.settle = settle
    task = asyncio.create_task(ask(traced.house, False))
    await asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not traced.exporter.get_finished_spans()
    gone.set()
    await traced.house.books.drain()
    await asyncio.sleep(0)
    root, attempts = traced.spans()
    assert len(attempts) == 1
    assert all(names.COST_NANO_USD not in span.attributes for span in (root, *attempts))
