"""Idempotency keys: one caller at a time works, everybody gets what came of it."""

import asyncio
import base64

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from spendgate.cache.v1 import idempotency_pb2 as pb
from spendgate.cache.v1 import idempotency_pb2_grpc as rpc

from tests.integration.cache.conftest import running_cache

HASH = "ab" * 32
OTHER = "cd" * 32


def place(key="k", tenant="acme", caller="key1"):
    return pb.IdempotencyPlace(tenant=tenant, caller=caller, key=key)


async def claim(cache, token, *, where=None, body_hash=HASH, lease_ms=5_000):
    stub = rpc.IdempotencyServiceStub(cache.channel)
    request = pb.ClaimRequest(
        place=where or place(), body_hash=body_hash, token=token, lease_ms=lease_ms
    )
    return await stub.Claim(request, timeout=10)


async def finish(cache, token, answer, *, where=None, ttl_seconds=60):
    stub = rpc.IdempotencyServiceStub(cache.channel)
    request = pb.FinishRequest(
        place=where or place(), body_hash=HASH, token=token, answer=answer, ttl_seconds=ttl_seconds
    )
    return (await stub.Finish(request, timeout=10)).kept


async def test_one_of_many_gets_the_key(cache):
    """Twenty at once: one works, the others are told so; a renewal is no second claim."""
    answers = await asyncio.gather(*(claim(cache, f"t{n}") for n in range(20)))
    states = [each.state for each in answers]
    assert sorted(states) == [pb.CLAIM_STATE_CLAIMED] + [pb.CLAIM_STATE_IN_FLIGHT] * 19
    winner = f"t{states.index(pb.CLAIM_STATE_CLAIMED)}"
    assert (await claim(cache, winner)).state == pb.CLAIM_STATE_CLAIMED


async def test_the_answer_is_kept_for_the_same_body_only(cache):
    """Told again to the very same request; another body is told that it is another."""
    await claim(cache, "t1")
    answer = b"said " * 1000
    assert await finish(cache, "t1", answer)
    again = await claim(cache, "t2")
    assert (again.state, again.answer) == (pb.CLAIM_STATE_ANSWERED, answer)
    assert (await claim(cache, "t3", body_hash=OTHER)).state == pb.CLAIM_STATE_MISMATCH


async def test_tenants_and_callers_never_meet(cache):
    """The same key of another tenant, or of another caller, is another key."""
    await claim(cache, "t1")
    await finish(cache, "t1", b"mine")
    for where in (place(tenant="other"), place(caller="key2")):
        assert (await claim(cache, "t2", where=where)).state == pb.CLAIM_STATE_CLAIMED


async def test_a_claim_ends_with_its_holder(cache):
    """One that is given back, or not renewed, is free; who lost it must not answer."""
    await claim(cache, "t1")
    assert await finish(cache, "t1", b"")
    assert (await claim(cache, "t2", lease_ms=30)).state == pb.CLAIM_STATE_CLAIMED
    while (await claim(cache, "t3")).state != pb.CLAIM_STATE_CLAIMED:
        await asyncio.sleep(0.01)
    assert not await finish(cache, "t2", b"late")
    assert await finish(cache, "t3", b"in time")


async def test_nothing_of_it_can_be_read_in_redis(redis_server):
    """No key and no name is in Redis as it came; nor is an answer, where values are encrypted."""
    where = place(key="order-4711", tenant="canary-tenant")
    keys = "1:" + base64.b64encode(bytes(32)).decode()
    async with running_cache(redis_server, value_keys=keys) as cache:
        await claim(cache, "t1", where=where)
        assert await finish(cache, "t1", b"canary-text", where=where)
        assert (await claim(cache, "t2", where=where)).answer == b"canary-text"
        async with cache.redis() as redis:
            names = await redis.keys("*")
            values = [await redis.get(name) for name in names if b":o:" in name]
    assert len(values) == 1
    for each in (*names, *values):
        assert b"4711" not in each
        assert b"canary" not in each


REFUSED = {
    "no tenant": (pb.ClaimRequest(place=place(tenant="")), "SCOPE_INVALID"),
    "no caller": (pb.ClaimRequest(place=place(caller="")), "KEY_INVALID"),
    "long key": (pb.ClaimRequest(place=place(key="k" * 129)), "KEY_INVALID"),
    "no hash": (pb.ClaimRequest(place=place()), "KEY_INVALID"),
    "no token": (pb.ClaimRequest(place=place(), body_hash=HASH), "LEASE_INVALID"),
    "no lease": (pb.ClaimRequest(place=place(), body_hash=HASH, token="t"), "LEASE_INVALID"),
    "no life": (
        pb.FinishRequest(place=place(), body_hash=HASH, token="t", answer=b"x"),
        "TTL_INVALID",
    ),
    "large": (
        pb.FinishRequest(
            place=place(), body_hash=HASH, token="t", answer=b"x" * (8 * 2**20 + 1), ttl_seconds=1
        ),
        "ANSWER_NOT_STORABLE",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_out_of_range_is_refused(cache, case):
    """By its reason, before Redis is asked."""
    request, reason = REFUSED[case]
    stub = rpc.IdempotencyServiceStub(cache.channel)
    method = stub.Claim if isinstance(request, pb.ClaimRequest) else stub.Finish
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(request, timeout=10)
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    assert info.reason == reason


async def test_without_a_store_nobody_gets_a_key(cache):
    """UNAVAILABLE: whoever asked for once must not get twice."""
    await cache.server.kill()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await claim(cache, "t1")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
