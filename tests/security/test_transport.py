"""The gRPC port under attack: what is not a caller's fault never shows, and others are served."""

import asyncio
import contextlib
import resource
import struct
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as pb_grpc

from chassis.server import Outfit, Room, running
from chassis.settings import ServiceSettings
from gateway.compression_trials import CompressionTest
from gateway.errors import ERRORS, Overloaded
from gateway.servicer import SERVICE_NAME, GatewayServicer
from gateway.similarity import LexicalSimilarity
from tests.fakes.http_door import KEY, FakeDoor
from tests.fakes.saga_house import prompt_of

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, DATA = 1, 3, 4, 6, 7, 0
END_STREAM, END_HEADERS = 1, 4
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
COMPLETE = "/spendgate.gateway.v1.GatewayService/Complete"
AUTH = (("authorization", f"Bearer {KEY}"),)


@contextlib.asynccontextmanager
async def gateway(**settings):
    """The gateway's servicer on the chassis, before a fake door."""
    door = FakeDoor()

    async def build(_: ServiceSettings, outfit: Outfit) -> Room:
        servicer = GatewayServicer(door, CompressionTest(door, LexicalSimilarity()))
        return Room(
            servicers=[(pb_grpc.add_GatewayServiceServicer_to_server, servicer)],
            service_names=[SERVICE_NAME],
            errors=ERRORS,
            authenticate=door.authenticate,
        )

    async with running("gateway", ServiceSettings(**settings), build) as service:
        yield door, service.address


async def ask(channel, **call):
    request = pb.CompleteRequest(model="small", prompt=prompt_of("hi"))
    return await pb_grpc.GatewayServiceStub(channel).Complete(
        request, metadata=AUTH, timeout=20, **call
    )


async def patient(channel):
    """Asks again while the server has more calls waiting than it takes on."""
    for pause in (0.2, 0.5, 1.0):
        try:
            return await ask(channel)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                raise
        await asyncio.sleep(pause)
    return await ask(channel)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header as HPACK writes it without any table (RFC 7541, 6.2.2)."""

    def text(content):
        raw = content if isinstance(content, bytes) else content.encode()
        if len(raw) < 127:
            return bytes([len(raw)]) + raw
        rest, out = len(raw) - 127, bytearray([127])
        while rest >= 128:
            out.append(rest % 128 + 128)
            rest //= 128
        return bytes(out) + bytes([rest]) + raw

    return b"\0" + text(name) + text(value)


def head(*more, path=COMPLETE):
    pairs = [
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
        ("te", "trailers"), ("content-type", "application/grpc"), *more,
    ]  # fmt: skip
    return b"".join(literal(name, value) for name, value in pairs)


class Raw:
    """A connection that says HTTP/2 by hand."""

    def __init__(self, address):
        self._address = address

    async def __aenter__(self):
        host, _, port = self._address.rpartition(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        self.writer.write(PREFACE + frame(SETTINGS, 0, 0))
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def send(self, content):
        self.writer.write(content)
        await self.writer.drain()

    async def heard(self, seconds=2.0):
        """All that comes until the other side falls silent or hangs up."""
        out = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := await asyncio.wait_for(self.reader.read(65536), seconds):
                out += piece
        return out


async def test_streams_that_are_reset_at_once_starve_nobody():
    """Rapid reset (CVE-2023-44487): 3,000 begun and reset; another caller is answered, where the
    server would not queue its call at the second or third asking, and of what was begun nothing is
    left."""
    async with gateway() as (door, address), grpc.aio.insecure_channel(address) as channel:
        await ask(channel)
        async with Raw(address) as attacker:
            with contextlib.suppress(ConnectionError):
                for number in range(3_000):
                    stream = 2 * number + 1
                    await attacker.send(
                        frame(HEADERS, END_HEADERS, stream, head(("authorization", AUTH[0][1])))
                        + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
                    )
            answers = await asyncio.gather(*(patient(channel) for _ in range(20)))
        assert all(answer.choices for answer in answers)
        assert len(door.requests) == 21


async def test_a_flood_of_pings_is_hung_up_on():
    """The connection goes, the server stays."""
    async with gateway() as (_, address), grpc.aio.insecure_channel(address) as channel:
        async with Raw(address) as attacker:
            with contextlib.suppress(ConnectionError):
                await attacker.send(frame(PING, 0, 0, b"x" * 8) * 20_000)
            heard = await attacker.heard()
        assert b"too_many_pings" in heard or attacker.reader.at_eof()
        assert (await ask(channel)).choices


async def test_a_packed_bomb_is_refused():
    """40 MiB of nothing in 40 KiB: RESOURCE_EXHAUSTED by the size it would have, and nobody else
    notices."""
    async with gateway() as (door, address), grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.GatewayServiceStub(channel)
        bomb = pb.CompleteRequest(model="small", prompt=prompt_of("0" * 40 * 2**20))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Complete(bomb, metadata=AUTH, timeout=20, compression=grpc.Compression.Gzip)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not door.requests
        assert (await ask(channel)).choices


@pytest.mark.parametrize(
    "more",
    [
        [("authorization", "Bearer somebody"), ("authorization", AUTH[0][1])],
        [("authorization", AUTH[0][1] + "\r\nx-tenant: other")],
        [("x-forwarded-for", "10.0.0.1"), ("x-tenant", "acme"), ("host", "admin")],
        [("authorization", "Bearer " + "k" * 4_000)],
    ],
    ids=["twice", "line break", "spoofed", "long"],
)
async def test_only_the_credential_says_who_calls(more):
    """Doubled, broken or made-up headers open nothing: no request reaches the door."""
    request = pb.CompleteRequest(model="small", prompt=prompt_of("hi")).SerializeToString()
    async with gateway() as (door, address):
        async with Raw(address) as attacker:
            await attacker.send(
                frame(HEADERS, END_HEADERS, 1, head(*more))
                + frame(DATA, END_STREAM, 1, b"\0" + struct.pack(">I", len(request)) + request)
            )
            await attacker.heard(0.5)
        assert not door.requests


async def test_metadata_has_a_limit():
    """A thousand entries of baggage are refused, not carried along."""
    async with gateway() as (door, address), grpc.aio.insecure_channel(address) as channel:
        stub = pb_grpc.GatewayServiceStub(channel)
        baggage = tuple((f"b-{n}", "v" * 40) for n in range(1000))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Complete(pb.CompleteRequest(), metadata=AUTH + baggage, timeout=10)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not door.requests
        assert (await ask(channel)).choices


async def test_connections_that_say_nothing_cost_nobody():
    """300 of them idle, then half a preface: a caller is answered all the same."""
    async with gateway() as (_, address), grpc.aio.insecure_channel(address) as channel:
        host, _, port = address.rpartition(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(300)]
        for _, writer in idle[:150]:
            writer.write(PREFACE[:10])
        answers = await asyncio.gather(*(ask(channel) for _ in range(10)))
        assert all(answer.choices for answer in answers)
        for _, writer in idle:
            writer.close()


async def test_a_reader_that_stands_still_holds_up_nobody():
    """A stream that nobody takes fills its window and waits; other callers go on."""
    async with gateway() as (door, address):
        door.endless = True
        async with (
            grpc.aio.insecure_channel(address) as slow,
            grpc.aio.insecure_channel(
                address, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as quick,
        ):
            request = pb.StreamCompleteRequest(model="small", prompt=prompt_of("hi"))
            call = pb_grpc.GatewayServiceStub(slow).StreamComplete(request, metadata=AUTH)
            await call.read()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(20):
                assert (await ask(quick)).choices
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown < 100 * 1024
            call.cancel()
        await asyncio.wait_for(door.given_up.wait(), 10)


async def test_what_is_too_much_says_when_to_come_back():
    """RESOURCE_EXHAUSTED, OVERLOADED, RetryInfo: over the wire, for libraries to obey."""
    async with gateway() as (door, address), grpc.aio.insecure_channel(address) as channel:
        door.fails = Overloaded(64, 2.5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(channel)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    details = rpc_status.from_call(caught.value).details
    assert any(detail.Unpack(info) for detail in details)
    assert any(detail.Unpack(retry) for detail in details)
    assert (info.reason, retry.retry_delay.ToMilliseconds()) == ("OVERLOADED", 2500)


async def test_a_failure_of_our_own_shows_an_id_and_nothing_else():
    """The text of an exception may quote a prompt: it reaches neither the caller nor the log."""
    async with gateway() as (door, address), grpc.aio.insecure_channel(address) as channel:
        door.fails = ValueError("canary of an exception")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(channel)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert "canary" not in str(caught.value.details()) + str(caught.value.trailing_metadata())


def test_what_is_installed_is_what_was_locked():
    """Every requirement has one version and the hashes of its files: another file under the same
    name, as a stolen release would be, is not installed."""
    root = Path(__file__).parents[2]
    lines = (root / "requirements.lock").read_text().splitlines()
    pinned = [at for at, line in enumerate(lines) if line and line[0] not in " #-"]
    assert len(pinned) > 40
    for at in pinned:
        assert "==" in lines[at]
        assert "--hash=sha256:" in "".join(lines[at : at + 3]), lines[at]
