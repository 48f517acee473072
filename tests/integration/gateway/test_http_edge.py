"""The HTTP edge against callers who send what no SDK would."""

import gzip
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from gateway.errors import ProviderFailed
from tests.fakes.http_door import KEY
from tests.fakes.http_house import AUTH, AUTH_LINE, BODY, CHAT, House, request_bytes


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


FEATURE = b"X-Spendgate-Feature: "


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
        ("POST", "/v1/nothing", 404, "unknown_url"),
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


async def test_feedback_over_http(house: House) -> None:
    """A token and a word reach the door; what the cache did comes back."""
    body = {"feedback_token": "abc", "verdict": "bad"}
    assert await house.post(body, path="/v1/feedback") == (200, {"removed": True})
    (request,) = house.door.requests
    assert (request.feedback_token, request.verdict) == ("abc", pb.VERDICT_BAD)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "feedback_token"),
        ({"feedback_token": "abc"}, "verdict"),
        ({"feedback_token": "abc", "verdict": "meh"}, "verdict"),
        ({"feedback_token": "abc", "verdict": "bad", "why": "x"}, "why"),
        ([], None),
    ],
)
async def test_bad_feedback(house: House, body: Any, param: str | None) -> None:
    """What is missing, unknown or no word is refused with its name."""
    status, told = await house.post(body, path="/v1/feedback")
    assert (status, told["error"]["param"]) == (400, param)
    assert not house.door.requests


async def test_the_cache_is_told_how_far_it_may_go(house: House) -> None:
    """The headers choose semantic answers and an explanation."""
    headers = {"x-spendgate-cache": "semantic", "x-spendgate-cache-explain": "on"}
    await house.post(messages("hi"), headers=headers)
    options = house.door.requests[0].options
    assert options.cache_mode == pb.CACHE_MODE_SEMANTIC
    assert options.cache_explain


async def test_all_a_caller_may_wish_for_has_a_header(house: House) -> None:
    """Every option of a request reaches the door; a time of its own shortens the deadline."""
    await house.post(
        BODY,
        headers={
            "Idempotency-Key": "k-1",
            "x-spendgate-user": "u-1",
            "x-spendgate-tags": "team=a, note=x%2Cy",
            "x-spendgate-cache-ttl-class": "static",
            "x-spendgate-timeout-seconds": "2.5",
            "x-spendgate-cost-max-usd": "0.5",
        },
    )
    request, deadline = house.door.requests[-1], house.door.deadlines[-1]
    options = request.options
    assert (options.idempotency_key, options.user) == ("k-1", "u-1")
    assert dict(options.tags) == {"team": "a", "note": "x,y"}
    assert options.cache_ttl_class == "static"
    assert options.cost_max_nanos == 500_000_000
    assert deadline.left_seconds() <= 2.5


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "1e9"])
async def test_a_time_that_is_none_is_refused(house: House, seconds: str) -> None:
    """A misread limit must not be no limit."""
    status, body = await house.post(BODY, headers={"x-spendgate-timeout-seconds": seconds})
    assert (status, body["error"]["param"]) == (400, "x-spendgate-timeout-seconds")
