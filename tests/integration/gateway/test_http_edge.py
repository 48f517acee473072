"""The HTTP edge against callers who send what no SDK would, or go away."""

import asyncio
import gzip
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from gateway.errors import ERRORS, ProviderFailed
from gateway.http_edge import Edge, EdgeLimits
from gateway.http_server import HttpServer
from tests.fakes.http_door import KEY, FakeDoor

CHAT = "/v1/chat/completions"
BODY = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
AUTH = {"Authorization": f"Bearer {KEY}"}
LIMITS = EdgeLimits(body_bytes_max=10_000)


@dataclass
class House:
    door: FakeDoor
    server: HttpServer
    ready: bool = True

    def url(self, path: str) -> str:
        return f"http://{self.server.address}{path}"

    async def raw(self, content: bytes) -> tuple[int, dict[str, str], bytes]:
        """Sends bytes as they are; the response's status, headers and body."""
        host, _, port = self.server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(content)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        writer.close()
        return int(lines[0].split()[1]), headers, body

    async def post(self, body: Any = None, **options: Any) -> tuple[int, Any]:
        headers = {**AUTH, **options.pop("headers", {})}
        if body is not None:
            options["data" if isinstance(body, bytes) else "json"] = body
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url(CHAT), headers=headers, **options) as response,
        ):
            return response.status, await response.json()


@asynccontextmanager
async def house_of(limits: EdgeLimits, **door: Any) -> AsyncIterator[House]:
    behind = FakeDoor(**door)
    house = House(behind, None)  # type: ignore[arg-type]  # set below
    edge = Edge(
        behind,
        ERRORS,
        limits,
        ready=lambda: house.ready,
        new_id=lambda: "stream-1",
        now=time.time,
    )
    house.server = HttpServer(edge, limits)
    await house.server.start("127.0.0.1:0")
    yield house
    await house.server.stop()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with house_of(LIMITS) as made:
        yield made


def messages(content: Any, role: Any = "user") -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": role, "content": content}]}


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "bad_json", None),
        (b'{"model":"\xff"}', 400, "bad_json", None),
        (b"\x00" * 100, 400, "bad_json", None),
        (b"[" * 9_000, 400, "bad_json", None),
        (b"", 400, "bad_json", None),
        (b"[]", 400, "REQUEST_INVALID", None),
        ({"model": "small"}, 400, "REQUEST_INVALID", "messages"),
        ({"model": "small", "messages": []}, 400, "REQUEST_INVALID", "messages"),
        (messages("hi", "oracle"), 400, "REQUEST_INVALID", "messages[0].role"),
        (messages({"a": 1}), 400, "REQUEST_INVALID", "messages[0].content"),
        ({**BODY, "temperature": "hot"}, 400, "REQUEST_INVALID", "temperature"),
        ({**BODY, "stream": 1}, 400, "REQUEST_INVALID", "stream"),
        (messages("x" * 10_000), 413, "request_too_large", None),
    ],
)
async def test_bad_bodies(
    house: House, body: Any, status: int, code: str, param: str | None
) -> None:
    """The caller learns what is wrong, and where; the door is never asked."""
    got, told = await house.post(body)
    assert (got, told["error"]["code"], told["error"]["param"]) == (status, code, param)
    assert not house.door.requests


async def test_a_body_without_a_length_has_a_limit(house: House) -> None:
    """A body in chunks is counted as it comes."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1_000

    status, told = await house.post(None, data=pieces())
    assert (status, told["error"]["code"]) == (413, "request_too_large")


async def test_a_packed_body_is_refused(house: House) -> None:
    """A kilobyte that unpacks to a gigabyte is not unpacked."""
    packed = gzip.compress(bytes(10**6))
    status, told = await house.post(packed, headers={"Content-Encoding": "gzip"})
    assert (status, told["error"]["code"]) == (415, "packed_body")


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"x-spendgate-cost-max-usd": "1e3"}, "x-spendgate-cost-max-usd"),
        ({"x-spendgate-cost-max-usd": "-1"}, "x-spendgate-cost-max-usd"),
        ({"x-spendgate-cost-max-usd": "0.0000000001"}, "x-spendgate-cost-max-usd"),
        ({"x-spendgate-cache": "maybe"}, "x-spendgate-cache"),
        ({"x-spendgate-cost-max": "1"}, "x-spendgate-*"),
    ],
)
async def test_bad_headers(house: House, headers: dict[str, str], param: str) -> None:
    """A limit that cannot be read, or is misspelt, is not taken for no limit."""
    status, told = await house.post(BODY, headers=headers)
    assert (status, told["error"]["param"]) == (400, param)
    assert not house.door.requests


def request_bytes(*headers: bytes, body: bytes = json.dumps(BODY).encode()) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


FEATURE = b"X-Spendgate-Feature: "
AUTH_LINE = f"Authorization: Bearer {KEY}".encode()


@pytest.mark.parametrize(
    ("headers", "status", "param"),
    [
        ([AUTH_LINE, b"Authorization: Bearer other"], 400, "authorization"),
        ([AUTH_LINE, AUTH_LINE], 400, "authorization"),
        (
            [AUTH_LINE, b"X-Spendgate-Feature: a", b"x-spendgate-feature: b"],
            400,
            "x-spendgate-feature",
        ),
        ([AUTH_LINE, b"X-Spendgate-Feature: \xff\xfe"], 400, "x-spendgate-feature"),
        ([b"Authorization: Bearer \xff\xfe"], 400, "authorization"),
        ([b"Authorization: Bearer " + b"k" * 7_000], 401, None),
        ([], 401, None),
    ],
)
async def test_headers_that_two_readers_could_read_apart(
    house: House, headers: list[bytes], status: int, param: str | None
) -> None:
    """Who a caller is and what it may spend comes from one header, sent once, of text."""
    got, _, body = await house.raw(request_bytes(*headers))
    assert (got, json.loads(body)["error"]["param"]) == (status, param)
    assert not house.door.requests


@pytest.mark.parametrize(
    "content",
    [
        b"canary-no-http\r\n\r\n",
        b"GET / HTTP/1.1\r\ncanary header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: canary\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\ncanary: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"canary: x\r\n" * 100 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: canary\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03canary\r\n\r\n",
    ],
)
async def test_what_is_no_http(
    house: House, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Malformed requests get a refusal in our shape that repeats nothing, nor does the log."""
    caplog.set_level(logging.DEBUG)
    status, headers, body = await house.raw(content)
    assert status == 400
    assert headers["content-type"].startswith("application/json")
    assert json.loads(body)["error"]["code"] == "bad_http"
    assert b"canary" not in body
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("GET", "/v1/models/%ff%00", 404, "model_not_found"),
        ("GET", "/v1/models/none", 404, "model_not_found"),
    ],
)
async def test_unknown_paths(house: House, method: str, path: str, status: int, code: str) -> None:
    """Told as JSON, like every refusal."""
    async with (
        aiohttp.ClientSession(headers=AUTH) as session,
        session.request(method, house.url(path)) as response,
    ):
        told = await response.json()
    assert (response.status, told["error"]["code"]) == (status, code)


async def test_health(house: House) -> None:
    """Alive and ready are two questions; neither needs a key nor tells what runs here."""
    for ready, status in ((True, 200), (False, 503)):
        house.ready = ready
        async with aiohttp.ClientSession() as session:
            async with session.get(house.url("/readyz")) as response:
                assert response.status == status
                assert response.headers["Server"] == "spendgate"
            async with session.get(house.url("/healthz")) as response:
                assert response.status == 200


async def test_a_trace_is_handed_on(house: House) -> None:
    """One W3C header reaches the door; what cannot be one does not."""
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for sent in (good, "x" * 200):
        await house.post(BODY, headers={"traceparent": sent})
    assert house.door.traceparents == [good, ""]


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


async def test_the_wire_of_a_stream(house: House) -> None:
    """Events as OpenAI writes them, [DONE] last; nothing in between may collect them."""
    async with (
        aiohttp.ClientSession(headers=AUTH) as session,
        session.post(house.url(CHAT), json={**BODY, "stream": True}) as response,
    ):
        text = await response.text()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["X-Accel-Buffering"] == "no"
    events = text.split("\n\n")
    assert all(event.startswith("data: {") for event in events[:-2])
    assert events[-2:] == ["data: [DONE]", ""]


async def test_a_broken_stream_has_no_done(house: House) -> None:
    """Who counts on [DONE] can tell a cut answer from a whole one."""
    house.door.breaks = ProviderFailed("p", "RESET", 1)
    async with (
        aiohttp.ClientSession(headers=AUTH) as session,
        session.post(house.url(CHAT), json={**BODY, "stream": True}) as response,
    ):
        text = await response.text()
    assert "[DONE]" not in text
    assert json.loads(text.split("data: ")[-1])["error"]["code"] == "PROVIDER_FAILED"


@pytest.mark.parametrize("stream", [False, True])
async def test_no_error_or_log_quotes_anyone(
    house: House, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the prompt, nor the key, nor the text of an exception leaves through an error."""
    caplog.set_level(logging.DEBUG)
    house.door.fails = ValueError(f"canary-in-error {KEY}")
    body = {**messages("canary-in-prompt"), "stream": stream}
    status, told = await house.post(body)
    assert status == 500
    house.door.fails, house.door.breaks = None, house.door.fails
    async with (
        aiohttp.ClientSession(headers=AUTH) as session,
        session.post(house.url(CHAT), json={**body, "stream": True}) as response,
    ):
        text = await response.text()
    shown = f"{told} {text} {caplog.text} {[vars(record) for record in caplog.records]}"
    assert "canary" not in shown
    assert KEY not in shown


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
