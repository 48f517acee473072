"""T10: texts made to be slow to count, and bytes that are no message, while others work."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from tests.e2e.house import bearer, prompt_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIZE = 512 * 2**10
HOSTILE = {
    "one letter": "a" * SIZE,
    "blanks": " " * SIZE,
    "dashes": "-" * SIZE,
    "combining": "e\u0301" * (SIZE // 3),
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * (SIZE // 18),
    "digits": "1234567890" * (SIZE // 10),
}


async def test_hostile_prompts_do_not_stop_the_others(house, tenant):
    """Each is answered or refused with a status; normal calls and probes never fail."""
    secret = await house.key(tenant)
    done = asyncio.Event()
    normal = []

    async def others():
        n = 0
        while not done.is_set():
            n += 1
            normal.append(await house.complete(secret, f"normal {n}", model="cheap"))
            await asyncio.sleep(0.02)

    async def probes():
        seen = set()
        async with grpc.aio.insecure_channel(house.address("tokenizer")) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while not done.is_set():
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
                seen.add(answer.status)
                await asyncio.sleep(0.1)
        return seen

    async def hostile(text):
        request = gateway_pb.CompleteRequest(model="cheap", prompt=prompt_of(text))
        try:
            await house.gateway.Complete(request, timeout=30, metadata=bearer(secret))
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    beside = [asyncio.create_task(others()), asyncio.create_task(probes())]
    codes = await asyncio.gather(*(hostile(text) for text in HOSTILE.values()))
    done.set()
    _, seen = await asyncio.gather(*beside)
    told = {
        grpc.StatusCode.OK,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
    assert set(codes) <= told, dict(zip(HOSTILE, codes, strict=True))
    assert seen == {health_pb2.HealthCheckResponse.SERVING}
    assert normal


@pytest.mark.parametrize("data", [b"\xff" * 64, b"\x0a\xff\xff\xff\xff\x0f", b"\x12\x02\x0a\x80"])
async def test_bytes_that_are_no_message(house, tenant, data):
    """INVALID_ARGUMENT with a fixed text; the process goes on."""
    secret = await house.key(tenant)
    call = house._channel.unary_unary(
        "/spendgate.gateway.v1.GatewayService/Complete",
        request_serializer=lambda raw: raw,
        response_deserializer=gateway_pb.CompleteResponse.FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(data, metadata=bearer(secret))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (await house.complete(secret, "still there", model="cheap")).choices
