"""What the saga does about providers that fail, are slow, or take no more: on fakes."""

import asyncio
from contextlib import aclosing

import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from gateway.errors import ERRORS, CircuitOpen, FleetChanging, ProviderFailed
from gateway.providers.port import (
    Billed,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
    Unavailability,
)
from tests.fakes.saga_house import House

DOWN = ProviderUnavailable("fake", Unavailability.SERVER_ERROR, billed=Billed.NO)
TOO_LONG = ProviderRefused("fake", http_status=400, reason=Refusal.CONTEXT_TOO_LONG)
HEDGE = "breaker: {enabled: false}, hedge: {calls_min: 5, after_seconds_min: 0.001}"


async def fail(house, times):
    house.provider.script = [DOWN] * times * 2  # two tries each
    for _ in range(times):
        with pytest.raises(ProviderFailed):
            await house.complete(cache_mode=1)


def booked(house):
    """The attempts of the last settlement."""
    return list(house.services.asked["settle"][-1].attempts)


async def test_an_open_breaker_refuses_before_the_provider_is_called():
    """The only model failed: UNAVAILABLE with a RetryInfo, nothing is called, no hold is left."""
    house = House(retry="breaker: {calls_min: 2, open_seconds: 5}")
    await fail(house, 1)  # two tries
    calls = len(house.provider.calls)
    with pytest.raises(CircuitOpen) as caught:
        await house.complete(cache_mode=1)
    assert len(house.provider.calls) == calls
    status = ERRORS.to_status(caught.value)
    assert "CIRCUIT_OPEN" in str(status.details[0])
    assert any("RetryInfo" in detail.type_url for detail in status.details)
    await house.books.drain()
    assert all(len(ways) == 1 for ways in house.services.resolutions().values())


async def test_an_open_breaker_is_skipped_down_the_chain():
    """The next model answers at once, and the first is probed once its time is over."""
    house = House(retry="breaker: {calls_min: 2, open_seconds: 5}")
    await fail(house, 1)
    house.services.models = ["cheap", "dear"]
    assert (await house.complete(cache_mode=1)).summary.model == "dear"
    assert [call.model for call in house.provider.calls[-1:]] == ["up-dear"]
    house.clock += 6
    assert (await house.complete(cache_mode=1)).summary.model == "cheap"


async def test_beyond_the_allowance_the_next_model_is_called():
    """Retries are a share of the traffic: a fleet whose provider is down does not double it."""
    house = House(retry="breaker: {enabled: false}, budget_retries_min: 3, budget_percent: 10")
    await fail_all(house, 30)
    assert len(house.provider.calls) <= 30 + 3 + 3


async def fail_all(house, requests):
    house.provider.says = {"up-cheap": DOWN}
    for _ in range(requests):
        with pytest.raises(ProviderFailed):
            await house.complete(cache_mode=1)


async def warmed(retry=HEDGE, **more):
    """A saga that has seen enough calls to know the usual pace."""
    house = House(retry=retry, **more)
    for _ in range(5):
        await house.complete(cache_mode=1)
        async with aclosing(house.stream(cache_mode=1)) as events:
            async for _ in events:
                pass
    return house


class Slow:
    """Calls of the provider that wait until they are let go, the first only."""

    def __init__(self, house, *, first=True):
        self.house, self.left = house, 1 if first else 0
        self.gone = asyncio.Event()
        self._begin = house.provider._begin
        house.provider._begin = self.begin

    async def begin(self, call):
        if self.left:
            self.left -= 1
            self.house.provider.calls.append(call)
            await self.gone.wait()
        return await self._begin(call)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_slow_call_gets_a_second_one(streams):
    """The second answers; the first is cancelled and booked with its prompt as an extra."""
    house = await warmed()
    Slow(house)
    if streams:
        async with aclosing(house.stream(cache_mode=1, hedge=True)) as events:
            pieces = [event async for event in events]
        assert "".join(piece.delta.content for piece in pieces) == "Hello there"
    else:
        answer = await house.complete(cache_mode=1, hedge=True)
        assert answer.choices[0].message.content == "Hello there"
    winner, loser = sorted(booked(house), key=lambda each: each.kind)
    assert winner.kind == entry_pb2.ENTRY_KIND_CALL
    assert winner.outcome == entry_pb2.ATTEMPT_OUTCOME_OK
    assert loser.kind == entry_pb2.ENTRY_KIND_HEDGE
    assert loser.outcome == entry_pb2.ATTEMPT_OUTCOME_CANCELLED
    assert loser.error_reason == "OVERTAKEN"
    assert loser.usage.input_tokens == 10
    assert {winner.attempt_number, loser.attempt_number} == {1, 2}


async def test_both_calls_are_held_for():
    """The hold is the sum of two worst cases."""
    house = await warmed()
    await house.complete(cache_mode=1, hedge=True)
    item = house.services.asked["reserve"][-1]
    assert item.hold_all
    assert [case.model for case in item.worst_cases] == ["cheap", "cheap"]


async def test_a_budget_that_has_room_for_one_call_gets_one():
    """The request is not refused for what it could do without."""
    house = await warmed()
    house.services.room_for_one = True
    Slow(house, first=False)
    await house.complete(cache_mode=1, hedge=True)
    first, second = house.services.asked["reserve"][-2:]
    assert first.hold_all
    assert not second.hold_all
    assert len(booked(house)) == 1


@pytest.mark.parametrize(
    ("mode", "asked", "hedged"),
    [
        ("asked", None, False),
        ("always", None, True),
        ("always", False, False),
        ("never", True, False),
    ],
)
async def test_who_is_hedged(mode, asked, hedged):
    """As the fleet file and the caller say."""
    house = await warmed(HEDGE.replace("calls_min: 5", f"calls_min: 5, mode: {mode}"))
    options = {} if asked is None else {"hedge": asked}
    await house.complete(cache_mode=1, **options)
    assert house.services.asked["reserve"][-1].hold_all is hedged


async def test_a_loser_may_be_booked_with_nothing():
    """For providers that do not bill cancelled calls."""
    house = await warmed(HEDGE.replace("calls_min: 5", "calls_min: 5, loser_charge: nothing"))
    Slow(house)
    await house.complete(cache_mode=1, hedge=True)
    assert not booked(house)[0].usage.ByteSize()


@pytest.mark.parametrize("streams", [False, True])
async def test_when_both_calls_fail_both_are_booked(streams):
    """And the request goes on as after any failure."""
    house = await warmed()
    slow = Slow(house)
    house.provider.script = [DOWN, DOWN, DOWN]
    asyncio.get_running_loop().call_later(0.05, slow.gone.set)

    async def ask():
        if not streams:
            return await house.complete(cache_mode=1, hedge=True)
        async with aclosing(house.stream(cache_mode=1, hedge=True)) as events:
            return [event async for event in events]

    with pytest.raises(ProviderFailed):
        await ask()
    await house.books.drain()
    released = house.services.asked["release"][-1]
    assert sorted(each.attempt_number for each in released.attempts) == [1, 2, 3]


async def test_a_longer_model_takes_what_did_not_fit():
    """The provider says it does not fit: models of the chain that take no more are left out."""
    windows = """
models:
  cheap: {provider: fake, context_window_tokens: 100, price: PRICE}
  same: {provider: fake, context_window_tokens: 100, price: PRICE}
  long: {provider: fake, context_window_tokens: 9000, price: PRICE}
""".replace("PRICE", '{input_usd_per_million: "1", output_usd_per_million: "2"}')
    house = House(models=windows)
    house.services.models = ["cheap", "same", "long"]
    house.provider.script = [TOO_LONG]
    answer = await house.complete(cache_mode=1)
    assert answer.summary.model == "long"
    assert [call.model for call in house.provider.calls] == ["up-cheap", "up-long"]


async def test_without_a_longer_model_the_refusal_stands():
    """The caller hears what the provider said."""
    house = House()
    house.provider.script = [TOO_LONG]
    with pytest.raises(ProviderRefused) as caught:
        await house.complete(cache_mode=1)
    assert caught.value.reason == Refusal.CONTEXT_TOO_LONG


def _cuts(house):
    """The tokenizer leaves the first message out when it is asked to fit."""
    whole = house.services.prepare

    async def prepare(item, deadline):
        prepared = await whole(item, deadline)
        if item.HasField("fit"):
            prepared.input.tokens = 5
            prepared.edits.CopyFrom(tokenizer_pb.Edits(cut_from_message=1))
        return prepared

    house.services.prepare = prepare


async def test_a_prompt_is_fitted_where_the_operator_says_so():
    """The same model gets it shorter; the answer is not kept for those who ask with all of it."""
    house = House(retry="breaker: {enabled: false}, too_long: fit")
    _cuts(house)
    house.provider.script = [TOO_LONG]
    answer = await house.complete("hello")
    assert [call.model for call in house.provider.calls] == ["up-cheap", "up-cheap"]
    assert answer.summary.shaping.sent_tokens == 5
    await house.books.drain()
    assert not house.services.stored


async def test_who_wants_all_of_it_sent_is_refused():
    """Nothing is left out behind the caller's back."""
    house = House(retry="breaker: {enabled: false}, too_long: fit")
    _cuts(house)
    house.provider.script = [TOO_LONG]
    with pytest.raises(ProviderRefused):
        await house.complete("hello", context={"policy": 1})


async def test_a_stream_is_cut_when_its_hold_is_used_up():
    """A provider that writes on and on: one last piece says why, what came is charged."""
    house = House()
    house.provider.pieces = ["word "] * 50_000
    async with aclosing(house.stream(cache_mode=1)) as events:
        pieces = [event async for event in events]
    last, summary = pieces[-2].delta, pieces[-1].summary
    assert last.finish_reason == chat_pb2.FINISH_REASON_HOLD_USED_UP
    written = summary.usage.output_tokens
    # The hold pays for the 16 tokens that were asked for; 64 more come between two counts.
    assert 16 < written < 16 + 64
    (settle,) = house.services.asked["settle"]
    assert settle.attempts[0].usage.output_tokens == written
    assert summary.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    await house.books.drain()
    assert not house.services.stored


async def test_an_answer_of_usual_length_is_never_counted():
    """Metering costs such a stream no hop."""
    house = House()
    async with aclosing(house.stream(cache_mode=1)) as events:
        async for _ in events:
            pass
    assert not house.services.asked["count"]


async def test_a_model_that_only_the_router_knows():
    """It has read a changed fleet file first: what this gateway knows answers, or the caller is
    told to come back. Nothing is answered that could not be priced."""
    house = House()
    house.services.models = ["newcomer", "dear"]
    assert (await house.complete(cache_mode=1)).summary.model == "dear"
    house.services.models = ["newcomer"]
    with pytest.raises(FleetChanging) as caught:
        await house.complete(cache_mode=1)
    assert "FLEET_CHANGING" in str(ERRORS.to_status(caught.value).details[0])
    assert len(house.provider.calls) == 1
