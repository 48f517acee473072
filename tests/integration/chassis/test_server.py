"""The chassis over a real socket, with a room made for the test."""

import asyncio
import logging

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis.batch import answer_batch
from chassis.calls import Call, calling, current_call
from chassis.channel import Link
from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import ErrorTable, RemoteError
from chassis.hop import BatchHop
from chassis.local import LOCAL
from chassis.server import Room, UnsafeListen, running
from chassis.settings import ServiceSettings

NAME = "spendgate.tokenizer.v1.TokenizerService"
METHOD = f"/{NAME}/Count"
TOKEN = "a-token-of-the-fleet"
ERRORS = ErrorTable("tokenizer.spendgate", {})
SETTINGS = ServiceSettings(internal_token=SecretStr(TOKEN), drain_seconds_max=5)


class Lengths(pb_grpc.TokenizerServiceServicer):
    """Counts characters; "boom" raises, "slow" takes a while."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.cancelled = 0

    async def Count(self, request, context):
        async def handle(live):
            self.batches.append(len(live))
            if any(each.item.text == "slow" for each in live):
                try:
                    await asyncio.sleep(0.3)
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
            return [
                ValueError("a prompt in an exception")
                if each.item.text == "boom"
                else pb.TokenCount(tokens=len(each.item.text))
                for each in live
            ]

        outcomes = await answer_batch(
            request.items, span_name="count", errors=ERRORS, handle=handle
        )
        return pb.CountResponse(
            results=[
                pb.CountResult(count=o) if isinstance(o, pb.TokenCount) else pb.CountResult(error=o)
                for o in outcomes
            ]
        )


@pytest.fixture
async def room():
    servicer = Lengths()

    async def build(settings, outfit):
        servicer.part = outfit.health.part("thing")
        servicer.part.ok()
        return Room([(pb_grpc.add_TokenizerServiceServicer_to_server, servicer)], [NAME], ERRORS)

    async with running("test", SETTINGS, build) as server:
        yield server, servicer


@pytest.fixture
async def link(room):
    line = Link(room[0].address, NAME, TOKEN)
    yield line
    await line.close()


@pytest.fixture(params=["wire", "same process"])
async def either(room, request):
    """A link over the wire, and one to a neighbour: their callers must not tell them apart."""
    line = Link(room[0].address if request.param == "wire" else LOCAL, NAME, TOKEN)
    yield line
    await line.close()


async def count(link, *texts, seconds=5.0):
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    request = pb.CountRequest(items=[pb.CountItem(text=text) for text in texts])
    return await link.call(stub.Count, request, Deadline.after(seconds))


async def test_one_bad_item_fails_alone_and_shows_nothing(either):
    """Neighbours get their results; the bad one a fixed text, never the exception's."""
    response = await count(either, "ab", "boom", "abc")
    kinds = [result.WhichOneof("outcome") for result in response.results]
    assert kinds == ["count", "error", "count"]
    assert response.results[1].error.code == grpc.StatusCode.INTERNAL.value[0]
    assert "a prompt" not in str(response)


async def test_no_items_and_too_many_are_refused(either):
    """A batch has 1 to 256 items."""
    for texts in ([], ["a"] * 257):
        with pytest.raises(RemoteError) as caught:
            await count(either, *texts)
        assert (caught.value.code, caught.value.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "ITEMS_INVALID",
        )
        assert caught.value.metadata == {"itemCount": str(len(texts)), "itemCountMax": "256"}


async def test_a_call_ends_at_its_deadline(room, either):
    """The caller is told, and the work does not go on."""
    with pytest.raises(RemoteError) as caught:
        await count(either, "slow", seconds=0.05)
    assert caught.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(5):
        while not room[1].cancelled:
            await asyncio.sleep(0.01)


async def test_hops_give_the_same_outcomes(either):
    """Alone or gathered: a result, or the item's own error."""
    stub = either.stub(pb_grpc.TokenizerServiceStub)
    hop = BatchHop(either, stub.Count, pb.CountRequest)
    counts = await asyncio.gather(
        *(hop.call(pb.CountItem(text="x" * n), Deadline.after(5)) for n in range(20))
    )
    assert [each.tokens for each in counts] == list(range(20))
    with pytest.raises(RemoteError) as caught:
        await hop.call(pb.CountItem(text="boom"), Deadline.after(5))
    assert caught.value.code == grpc.StatusCode.INTERNAL
    with pytest.raises(DeadlinePassed):
        await hop.call(pb.CountItem(text="a"), Deadline.after(-1))
    await hop.close()


async def test_a_neighbour_that_is_not_there_is_unavailable():
    """A service of another process, or one that has ended."""
    line = Link(LOCAL, NAME, TOKEN)
    with pytest.raises(RemoteError) as caught:
        await count(line, "a")
    assert caught.value.code == grpc.StatusCode.UNAVAILABLE


async def test_a_neighbours_call_is_not_taken_for_the_callers_own(room):
    """What a service finds out about the call under way is about its own; ours is ours again."""
    line, mine = Link(LOCAL, NAME, None), object()
    call = Call("/mine", None, {}, None, Deadline.after(5), caller=mine)
    with calling(call):
        await count(line, "a")
        assert current_call() is call


@pytest.mark.parametrize("token", [None, "another-token", TOKEN + "x", TOKEN[:-1]])
async def test_without_the_fleets_token_nothing_opens(room, token):
    """Inside the fleet nobody is anonymous."""
    stranger = Link(room[0].address, NAME, token)
    with pytest.raises(RemoteError) as caught:
        await count(stranger, "ab")
    assert (caught.value.code, caught.value.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "TOKEN_INVALID",
    )
    assert room[1].batches == []
    await stranger.close()


@pytest.mark.parametrize(
    "wire", [b"\x0a\x05\x22\x03\xff\xff\xff", b"\xff\xff\xff", b"\x0a\x7f\x01"]
)
async def test_bytes_that_are_no_message_are_an_invalid_argument(room, wire):
    """grpc would answer with the decoder's text; we name the field and nothing else."""
    async with grpc.aio.insecure_channel(room[0].address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(METHOD)(
                wire, metadata=(("authorization", f"Bearer {TOKEN}"),)
            )
    remote = RemoteError.from_rpc(caught.value)
    assert (remote.code, remote.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_INVALID")


async def test_a_batch_over_the_size_limit_is_refused_by_the_core(room, link):
    """What is larger than a message may be never reaches a handler."""
    with pytest.raises(RemoteError) as caught:
        await count(link, "a" * (SETTINGS.receive_bytes_max + 1))
    assert caught.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert room[1].batches == []


async def test_an_items_own_deadline_is_kept(room, link):
    """An item whose time is up is not worked on; the others are."""
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    request = pb.CountRequest(
        items=[pb.CountItem(text="a", timeout_ms=-1), pb.CountItem(text="bc", timeout_ms=1000)]
    )
    response = await link.call(stub.Count, request, Deadline.after(5))
    assert response.results[0].error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert response.results[1].count.tokens == 2
    assert room[1].batches == [1]


async def test_waiting_calls_travel_together(room, link):
    """64 callers at once need far fewer calls on the wire, and each gets its own result."""
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    hop = BatchHop(link, stub.Count, pb.CountRequest)
    texts = ["boom" if n % 8 == 7 else "x" * n for n in range(64)]
    results = await asyncio.gather(
        *(hop.call(pb.CountItem(text=text), Deadline.after(5)) for text in texts),
        return_exceptions=True,
    )
    for text, result in zip(texts, results, strict=True):
        if text == "boom":
            assert isinstance(result, RemoteError)
        else:
            assert result.tokens == len(text)
    assert sum(room[1].batches) == 64
    assert len(room[1].batches) <= 8
    await hop.close()


async def test_calls_under_way_end_before_the_server_does():
    """A drain says NOT_SERVING, lets work end, then stops."""
    servicer = Lengths()

    async def build(settings, outfit):
        outfit.health.part("thing").ok()
        return Room([(pb_grpc.add_TokenizerServiceServicer_to_server, servicer)], [NAME], ERRORS)

    async with running("test", SETTINGS, build) as server:
        link = Link(server.address, NAME, TOKEN)
        under_way = asyncio.create_task(count(link, "slow"))
        await asyncio.sleep(0.1)
    assert (await under_way).results[0].count.tokens == 4
    assert server.health.serving is False
    await link.close()


async def test_health_has_named_parts(room):
    """Only a failed part takes the service out; a degraded one does not."""
    server, servicer = room
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        async def status(name):
            await asyncio.sleep(0)
            response = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)

        assert [await status(n) for n in ("", "readiness", "liveness", NAME)] == ["SERVING"] * 4
        servicer.part.degraded("slow")
        assert await status("readiness") == "SERVING"
        servicer.part.failed("gone")
        assert await status("readiness") == "NOT_SERVING"
        assert await status(NAME) == "NOT_SERVING"
        assert await status("liveness") == "SERVING"
        servicer.part.ok()
        assert await status("readiness") == "SERVING"


async def test_one_canonical_line_a_call(link, caplog):
    """Method, code, duration and items; a refusal too."""
    with caplog.at_level(logging.INFO, logger="chassis.rpc"):
        await count(link, "ab", "cd")
        with pytest.raises(RemoteError):
            await count(link)
    lines = [record for record in caplog.records if record.name == "chassis.rpc"]
    assert [(r.method, r.code, r.items) for r in lines] == [
        (METHOD, "OK", 2),
        (METHOD, "INVALID_ARGUMENT", 0),
    ]


async def test_an_open_address_needs_a_token():
    """A service that others can reach must not be open to everybody."""

    async def build(settings, outfit):
        raise AssertionError("must not be built")

    with pytest.raises(UnsafeListen):
        async with running("test", ServiceSettings(listen="0.0.0.0:0"), build):
            pass
