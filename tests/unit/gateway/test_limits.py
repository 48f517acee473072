"""Rate limits, allowed models and budgets that ask for the cheapest, through the saga on fakes."""

import asyncio
import dataclasses

import grpc
import pytest
from google.rpc import error_details_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2

from catalog.config import ConfigError
from catalog.limits import LimitConfig, LimitsConfig
from chassis.errors import InvalidFields, StatusError
from gateway.errors import ERRORS, ModelNotAllowed, ProviderFailed
from gateway.limits.limits import AWAY_SECONDS, Limits
from gateway.limits.memory import MemoryLimiter
from gateway.limits.port import LimiterUnavailable
from gateway.limits.rules import MINUTE_US, RateLimited, Rates
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from tests.fakes.provider import USAGE
from tests.fakes.saga_house import IDENTITY, House
from tests.fakes.services import refusal


def _key(**limits):
    return dataclasses.replace(IDENTITY, limits=Rates(**limits))


async def test_a_key_over_its_requests_is_told_when_to_come_back(house):
    """RESOURCE_EXHAUSTED with RetryInfo, and nobody is asked for anything."""
    key = _key(requests_per_minute=2)
    for text in "ab":
        await house.complete(text, identity=key)
    asked = len(house.services.asked["prepare"])
    with pytest.raises(RateLimited) as caught:
        await house.complete("c", identity=key)
    assert len(house.services.asked["prepare"]) == asked
    status = ERRORS.to_status(caught.value)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert any(detail.Unpack(retry) for detail in status.details)
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert info.reason == "RATE_LIMITED"
    assert dict(info.metadata) == {"limit": "requests_per_minute", "of": "key", "allowed": "2"}
    assert retry.retry_delay.seconds == 30
    house.now_us += MINUTE_US // 2
    await house.complete("c", identity=key)


async def test_tokens_are_counted_before_money_is_held(house):
    """The prompt's and the most that may be written."""
    key = _key(tokens_per_minute=40)
    await house.complete("a", identity=key)
    with pytest.raises(RateLimited) as caught:
        await house.complete("b", identity=key)
    assert caught.value.limit == "tokens_per_minute"
    assert len(house.services.asked["reserve"]) == 1
    # What the cache has takes no tokens of anybody's.
    await house.complete("a", identity=key)


async def test_calls_at_once_are_bounded_and_given_back_on_every_way_out(house):
    """Also when a call fails or its caller goes away."""
    key = _key(parallel_calls_max=1)
    house.services.gate["route"] = asyncio.Event()
    first = asyncio.create_task(house.complete("a", identity=key))
    await asyncio.sleep(0.01)
    with pytest.raises(RateLimited) as caught:
        await house.complete("b", identity=key)
    assert caught.value.limit == "parallel_calls_max"
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.sleep(0)
    house.services.gate["route"].set()
    house.services.fail["route"] = refusal(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    with pytest.raises(StatusError):
        await house.complete("b", identity=key)
    del house.services.fail["route"]
    await asyncio.sleep(0)
    await house.complete("b", identity=key)


@pytest.mark.parametrize(
    ("limits", "of"),
    [
        ("limits: {per_user: {requests_per_minute: 1}}", "user"),
        ("limits: {per_key: {requests_per_minute: 1}}", "key"),
        ("limits: {models: {cheap: {requests_per_minute: 1}}}", "model"),
        ("limits: {models: {cheap: {tokens_per_minute: 40}}}", "model"),
    ],
)
async def test_the_fleet_file_sets_limits_for_everybody(limits, of):
    """Per key, per user, and of a model over all callers."""
    house = House(limits)
    await house.complete("a", user="ann")
    with pytest.raises(RateLimited) as caught:
        await house.complete("b", user="ann")
    assert caught.value.of == of
    if of == "user":
        await house.complete("b", user="bob")


def test_a_limit_of_a_model_that_is_not_there_is_refused():
    """A misspelt one would limit nothing."""
    with pytest.raises(ConfigError) as caught:
        House("limits: {models: {cheep: {requests_per_minute: 1}}}")
    assert "limits.models.cheep" in str(caught.value)


async def test_a_key_calls_only_what_it_may(house):
    """By the name behind an alias; the router is told for the rest of the chain."""
    key = dataclasses.replace(IDENTITY, allowed_models=("che*",))
    await house.complete("a", model="thrifty", identity=key)
    (item,) = house.services.asked["route"]
    assert list(item.allowed_models) == ["che*"]
    with pytest.raises(ModelNotAllowed) as caught:
        await house.complete("b", model="dear", identity=key)
    status = ERRORS.to_status(caught.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "MODEL_NOT_ALLOWED"
    assert status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]


async def test_tags_of_the_key_win(house):
    """Who pays is the key's to say."""
    key = dataclasses.replace(IDENTITY, tags=(("team", "red"),))
    await house.complete("a", identity=key, tags={"team": "blue", "env": "prod"})
    (item,) = house.services.asked["reserve"]
    assert dict(item.attribution.tags) == {"team": "red", "env": "prod"}


async def test_a_caller_cannot_say_what_a_token_claims(house):
    """Budgets of claims would be anybody's to spend."""
    with pytest.raises(InvalidFields):
        await house.complete("a", tags={"claim.team": "red"})


async def test_a_budget_that_asks_for_it_gets_the_cheapest_model(house):
    """The router is asked again, for the cheapest whatever was named, and none after it; the
    summary says why."""
    house.services.downgrade = True
    response = await house.complete("a", model="dear")
    first, second = house.services.asked["route"]
    assert (first.model, first.cheapest) == ("dear", False)
    assert (second.model, second.cheapest) == ("auto", True)
    refused, held = house.services.asked["reserve"]
    assert [refused.downgraded, held.downgraded] == [False, True]
    assert refused.hold_id != held.hold_id
    assert len(held.worst_cases) == 1
    (notice,) = response.summary.notices
    assert notice.mode == budget_pb2.BUDGET_MODE_DOWNGRADE


async def test_a_retry_and_a_fallback_are_rows_of_their_own_kind(house):
    """The first call, the same model again, another model."""
    house.services.models = ["cheap", "dear"]
    error = ProviderUnavailable("fake", Unavailability.SERVER_ERROR, billed=Billed.NO)
    house.provider.script = [error, error, USAGE]
    await house.complete("a")
    (item,) = house.services.asked["settle"]
    assert [attempt.kind for attempt in item.attempts] == [
        entry_pb2.ENTRY_KIND_CALL,
        entry_pb2.ENTRY_KIND_RETRY,
        entry_pb2.ENTRY_KIND_FALLBACK,
    ]
    assert item.tenant == "acme"


async def test_a_call_lost_at_work_is_paid_for(house):
    """Its prompt as counted, in a row of its own, also when nothing answers in the end."""
    lost = ProviderUnavailable("fake", Unavailability.TIMEOUT, billed=Billed.UNKNOWN)
    told = ProviderUnavailable("fake", Unavailability.SERVER_ERROR, billed=Billed.NO)
    house.provider.script = [lost, told]
    with pytest.raises(ProviderFailed):
        await house.complete("a")
    await house.books.drain()
    assert house.services.asked["release"] == []
    (item,) = house.services.asked["settle"]
    assert [(each.usage.input_tokens, each.usage_source) for each in item.attempts] == [
        (10, entry_pb2.USAGE_SOURCE_COUNTED),
        (0, entry_pb2.USAGE_SOURCE_NONE),
    ]


class _Away:
    """A shared count that does not answer."""

    def __init__(self):
        self.asked = 0

    async def admit(self, *_):
        self.asked += 1
        raise LimiterUnavailable("TimeoutError")

    async def close(self):
        pass


async def test_without_the_shared_count_each_gateway_counts_by_itself(house):
    """It is left alone for a while, then asked again."""
    now, shared = [10.0], _Away()
    config = LimitsConfig(per_key=LimitConfig(requests_per_minute=2))
    limits = Limits(
        config, MemoryLimiter(lambda: 0), shared, new_id=lambda: "c", clock=lambda: now[0]
    )
    house.door._parts = dataclasses.replace(house.door._parts, limits=limits)
    await house.complete("a")
    await house.complete("b")
    with pytest.raises(RateLimited):
        await house.complete("c")
    assert shared.asked == 1
    now[0] += AWAY_SECONDS
    with pytest.raises(RateLimited):
        await house.complete("c")
    assert shared.asked == 2
    await limits.close()
