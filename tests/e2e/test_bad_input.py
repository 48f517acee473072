"""Bad input gets a precise answer, and nothing of what was sent shows up anywhere."""

import io
import json

import aiohttp
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from tests.e2e.house import bearer, prompt_of, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CANARY = "canary-5f1e0c9a"
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def message(content=CANARY, role=chat_pb2.ROLE_USER):
    return chat_pb2.Message(role=role, content=content)


def prompt(*messages, **sampling):
    return chat_pb2.Prompt(messages=messages, sampling=chat_pb2.Sampling(**sampling))


BAD = {
    "no messages": (pb.CompleteRequest(model="cheap", prompt=prompt()), "prompt.messages"),
    "no model": (pb.CompleteRequest(prompt=prompt(message())), "model"),
    "no role": (
        pb.CompleteRequest(model="cheap", prompt=prompt(message(role=0))),
        "prompt.messages[0].role",
    ),
    "unknown role": (
        pb.CompleteRequest(model="cheap", prompt=prompt(message(), message(role=77))),
        "prompt.messages[1].role",
    ),
    "negative limit": (
        pb.CompleteRequest(model="cheap", prompt=prompt(message(), output_tokens_max=-1)),
        "prompt.sampling.output_tokens_max",
    ),
    "negative cost": (
        pb.CompleteRequest(
            model="cheap",
            prompt=prompt(message()),
            options=pb.RequestOptions(cost_max_nanos=-1),
        ),
        "options.cost_max_nanos",
    ),
    "temperature": (
        pb.CompleteRequest(model="cheap", prompt=prompt(message(), temperature=3)),
        "prompt.sampling.temperature",
    ),
    "not a number": (
        pb.CompleteRequest(model="cheap", prompt=prompt(message(), top_p=float("nan"))),
        "prompt.sampling.top_p",
    ),
    "4 MiB and a byte": (
        pb.CompleteRequest(model="cheap", prompt=prompt(message("x" * (4 * 2**20 + 1)))),
        "prompt",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_the_field_is_named(house, tenant, case):
    """INVALID_ARGUMENT with a BadRequest that names the field, on both kinds of call."""
    request, field = BAD[case]
    secret = await house.key(tenant)
    calls = house.upstream.calls.copy()
    for kind in ("plain", "stream"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            if kind == "plain":
                await house.gateway.Complete(request, metadata=bearer(secret))
            else:
                streamed = pb.StreamCompleteRequest.FromString(request.SerializeToString())
                async for _ in house.gateway.StreamComplete(streamed, metadata=bearer(secret)):
                    pass
        assert caught.value.code() == INVALID
        status = rpc_status.from_call(caught.value)
        bad = error_details_pb2.BadRequest()
        assert any(detail.Unpack(bad) for detail in status.details)
        assert field in [violation.field for violation in bad.field_violations]
        assert CANARY not in str(status)
    assert house.upstream.calls == calls


async def test_an_unknown_model_comes_with_the_nearest_name(house, tenant):
    """NOT_FOUND, and what was probably meant."""
    secret = await house.key(tenant)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.complete(secret, CANARY, model="chaep")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    assert (info.reason, info.metadata["nearest"]) == ("MODEL_UNKNOWN", "cheap")


async def test_an_unpriced_model_is_refused(house, tenant):
    """An unknown price is a state, never 0."""
    secret = await house.key(tenant)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.complete(secret, CANARY, model="unpriced")
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "MODEL_UNPRICED" in str(rpc_status.from_call(caught.value).details[0].value)


async def test_no_model_under_the_cost_allowed(house, tenant):
    """NO_CANDIDATE names each model and why."""
    secret = await house.key(tenant)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.complete(secret, CANARY, cost_max_nanos=1)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    status = rpc_status.from_call(caught.value)
    unmet = error_details_pb2.PreconditionFailure()
    assert any(detail.Unpack(unmet) for detail in status.details)
    assert {"cheap", "strong"} <= {v.subject.rpartition("/")[2] for v in unmet.violations}
    assert "NO_CANDIDATE" in str(status.details[0].value)


async def test_what_the_provider_refuses_is_told_as_such(house, tenant):
    """PROVIDER_REFUSED: the same request would be refused again."""
    secret = await house.key(tenant)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.complete(secret, CANARY, model="fail-400")
    assert caught.value.code() == INVALID
    assert "PROVIDER_REFUSED" in str(rpc_status.from_call(caught.value).details[0].value)


async def test_a_deadline_is_kept(house, tenant):
    """The caller's time is the request's. What the provider had taken by then is owed: the prompt,
    as it was counted, and not the answer that nobody saw."""
    secret = await house.key(tenant)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.gateway.Complete(
            pb.CompleteRequest(model="hang", prompt=prompt_of(CANARY)),
            metadata=bearer(secret),
            timeout=0.7,
        )
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED  # DEADLINE_PASSED inside

    async def released():
        return await house.entries(tenant)

    (entry,) = await until(released)
    assert entry.attempt.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    assert entry.attempt.usage.input_tokens > 0
    assert entry.attempt.usage.output_tokens == 0
    assert entry.cost_nanos > 0


@pytest.mark.parametrize("secret", ["", "sg_wrong", "sg_" + "x" * 600])
async def test_a_key_that_opens_nothing(house, secret):
    """KEY_INVALID, for whatever reason, and no hint why."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.complete(secret, CANARY)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    info = error_details_pb2.ErrorInfo()
    assert rpc_status.from_call(caught.value).details[0].Unpack(info)
    assert info.reason == "KEY_INVALID"


async def test_bytes_that_are_no_message(house, tenant):
    """Bad UTF-8 in a string is an invalid argument, not the decoder's text."""
    secret = await house.key(tenant)
    wire = pb.CompleteRequest(model="cheap", prompt=prompt_of(CANARY)).SerializeToString()
    wire = wire.replace(CANARY.encode(), b"\xff" * len(CANARY))
    async with grpc.aio.insecure_channel(house.address("gateway")) as channel:
        method = channel.unary_unary("/spendgate.gateway.v1.GatewayService/Complete")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(wire, metadata=bearer(secret))
    assert caught.value.code() == INVALID
    bad = error_details_pb2.BadRequest()
    assert any(d.Unpack(bad) for d in rpc_status.from_call(caught.value).details)


HTTP_BAD = {
    "no messages": ({"model": "cheap", "messages": []}, 400, "messages"),
    "unknown role": (
        {"model": "cheap", "messages": [{"role": "robot", "content": CANARY}]},
        400,
        "messages[0].role",
    ),
    "negative limit": (
        {"model": "cheap", "messages": [{"role": "user", "content": CANARY}], "max_tokens": -1},
        400,
        "max_tokens",
    ),
    "no json": (b"{" + CANARY.encode(), 400, None),
    "bad utf-8": (
        b'{"model": "cheap", "messages": [{"role": "user", "content": "\xff"}]}',
        400,
        None,
    ),
    "4 MiB and a byte": (
        {"model": "cheap", "messages": [{"role": "user", "content": "x" * (4 * 2**20 + 1)}]},
        (400, 413),
        None,
    ),
    "unknown model": (
        {"model": "chaep", "messages": [{"role": "user", "content": CANARY}]},
        404,
        "model",
    ),
}


@pytest.mark.parametrize("case", HTTP_BAD)
async def test_http_answers_in_openais_shape(house, tenant, case):
    """The status, and the parameter at fault where there is one."""
    body, status, param = HTTP_BAD[case]
    secret = await house.key(tenant)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"http://{house.address('http')}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=io.BytesIO(data), headers=headers) as response,
    ):
        answer = await response.json()
    assert response.status in (status if isinstance(status, tuple) else (status,))
    assert set(answer["error"]) >= {"message", "type", "param", "code"}
    assert param is None or answer["error"]["param"] == param
    assert CANARY not in json.dumps(answer)


async def test_nothing_of_it_shows_up_anywhere(house, tenant):
    """Runs last in this file: no prompt, no key in any log line or span so far."""
    secret = await house.key(tenant)
    await house.complete(secret, f"{CANARY} once more", model="cheap")
    summary = (await house.complete(secret, f"{CANARY} and again", model="strong")).summary
    await until(lambda: len(house.sink.of(summary.trace_id)) >= 6)
    for needle in (CANARY, secret):
        for name in ("tokenizer", "cache", "router", "ledger", "gateway"):
            assert needle not in house.log(name).read_text(), name
        assert not any(needle.encode() in raw for raw in house.sink.raw)
