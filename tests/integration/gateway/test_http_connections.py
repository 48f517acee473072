"""The HTTP edge against callers who are slow, too many, or gone; and at its own end."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from gateway.http.intake import EdgeLimits
from tests.fakes.http_house import (
    AUTH,
    AUTH_LINE,
    BODY,
    CHAT,
    LIMITS,
    House,
    house_of,
    request_bytes,
)


async def test_the_deadline_is_bounded() -> None:
    """No request lives longer than the edge allows."""
    async with house_of(EdgeLimits(request_seconds_max=5)) as house:
        await house.post(BODY)
        assert 0 < house.door.deadlines[0].left_seconds() <= 5


async def test_a_slow_body_is_given_up() -> None:
    """A caller that dribbles its body does not hold a connection for ever."""
    async with house_of(EdgeLimits(body_seconds_max=0.2)) as house:
        whole = request_bytes(AUTH_LINE)
        status, headers, body = await house.raw(whole[:-5])
        assert (status, json.loads(body)["error"]["code"]) == (408, "body_timeout")
        assert headers["connection"] == "close"


async def test_a_slow_head_is_given_up() -> None:
    """Nor does one that dribbles its head."""
    async with house_of(EdgeLimits(idle_seconds_max=0.3)) as house:
        host, _, port = house.server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(10):
            for byte in b"GET /healthz HTTP/1.1\r\nHost: a-very-slow-caller.example\r\n\r\n":
                writer.write(bytes([byte]))
                if reader.at_eof() or writer.is_closing():
                    break
                await asyncio.sleep(0.05)
            assert await reader.read() == b""
        writer.close()


async def test_a_caller_that_hangs_up_is_let_go() -> None:
    """Its request is cancelled, so that nobody works or pays for it any longer."""
    async with house_of(LIMITS, gate=asyncio.Event()) as house:
        host, _, port = house.server.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_bytes(AUTH_LINE))
        async with asyncio.timeout(5):
            await house.door.begun.wait()
            writer.close()
            await house.door.given_up.wait()


@pytest.mark.parametrize("waiting", [False, True])
async def test_a_stream_whose_caller_hangs_up_is_closed(waiting: bool) -> None:
    """Also while the provider is silent, and while it floods."""
    gate = asyncio.Event() if waiting else None
    async with house_of(LIMITS, gate=gate, endless=not waiting) as house:
        host, _, port = house.server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_bytes(AUTH_LINE, body=json.dumps({**BODY, "stream": True}).encode()))
        async with asyncio.timeout(5):
            await reader.readuntil(b"data: ")
            writer.close()
            await house.door.given_up.wait()


async def test_a_stream_nobody_reads_is_closed() -> None:
    """A caller that does not read holds neither memory nor the provider."""
    async with house_of(EdgeLimits(write_seconds_max=0.3), endless=True) as house:
        host, _, port = house.server.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_bytes(AUTH_LINE, body=json.dumps({**BODY, "stream": True}).encode()))
        async with asyncio.timeout(10):
            await house.door.given_up.wait()
        writer.close()


async def test_connections_are_bounded() -> None:
    """More than the limit are closed at once; those that are there go on."""
    async with house_of(EdgeLimits(connections_max=3)) as house:
        host, _, port = house.server.address.rpartition(":")
        writers = [(await asyncio.open_connection(host, int(port)))[1] for _ in range(3)]
        reader, fourth = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        for writer in (fourth, writers.pop()):
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while (await retried(house)) != 200:
                await asyncio.sleep(0.01)
        for writer in writers:
            writer.close()


async def retried(house: House) -> int:
    try:
        return (await house.post(BODY))[0]
    except aiohttp.ClientError:
        return 0


async def test_connections_are_used_again(house: House) -> None:
    """After an answer and after a refusal the same connection takes the next request."""
    made = 0

    async def count(*_: Any) -> None:
        nonlocal made
        made += 1

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    async with aiohttp.ClientSession(headers=AUTH, trace_configs=[trace]) as session:
        for body in (BODY, {"model": 5}, {**BODY, "stream": True}, BODY):
            async with session.post(house.url(CHAT), json=body) as response:
                await response.read()
        assert response.status == 200
    assert made == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stop_lets_answers_end(stream: bool) -> None:
    """At a rolling restart a request under way gets its answer, a new one no connection."""
    gate = asyncio.Event()
    async with house_of(LIMITS, gate=gate) as house:
        body = {**BODY, "stream": stream}
        async with aiohttp.ClientSession(headers=AUTH) as session:
            asked = asyncio.create_task(session.post(house.url(CHAT), json=body))
            async with asyncio.timeout(5):
                await house.door.begun.wait()
            stopping = asyncio.create_task(house.server.stop())
            await asyncio.sleep(0.05)
            with pytest.raises(aiohttp.ClientConnectorError):
                await house.post(BODY)
            gate.set()
            async with asyncio.timeout(5):
                response = await asked
                text = await response.text()
                await stopping
    assert response.status == 200
    assert text.endswith("data: [DONE]\n\n" if stream else "}")
