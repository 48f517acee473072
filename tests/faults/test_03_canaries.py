"""T3: what a caller wrote, and every key, stays out of logs, spans, metrics, errors and books."""

import asyncio
import contextlib

import aiohttp
import grpc
import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from tests.e2e.house import TOKEN, bearer, prompt_of, until
from tests.faults.house import PROVIDER_KEY

pytestmark = pytest.mark.asyncio(loop_scope="session")
CANARY = "canary-Kestrel-8817"
PIECE = 8


async def paths(house, secret):
    """A canary through twelve paths; what callers are told comes back."""
    told = []

    async def ask(model="well-good", seconds=10, text=CANARY, **options):
        sampling = options.pop("sampling", None)
        request = gateway_pb.CompleteRequest(
            model=model,
            prompt=prompt_of(text, "system " + CANARY, sampling),
            options=gateway_pb.RequestOptions(**options),
        )
        try:
            await house.gateway.Complete(request, timeout=seconds, metadata=bearer(secret))
        except grpc.aio.AioRpcError as error:
            told.append(f"{error.details()} {error.trailing_metadata()}")

    async def stream(model, pieces_max):
        request = gateway_pb.StreamCompleteRequest(model=model, prompt=prompt_of(CANARY))
        call = house.gateway.StreamComplete(request, timeout=10, metadata=bearer(secret))
        seen = 0
        try:
            async for _ in call:
                seen += 1
                if seen == pieces_max:
                    call.cancel()
        except grpc.aio.AioRpcError as error:
            told.append(f"{error.details()} {error.trailing_metadata()}")
        except asyncio.CancelledError:
            pass

    await ask()  # answered
    await ask()  # from the cache
    await ask("fail-400")  # the provider repeats what it got
    await ask("fail-500")
    await ask("garbled-good")
    await ask("hang", seconds=0.3)
    await ask(f"no-such-model-{CANARY}"[:20])
    await ask(cost_max_nanos=1)
    await ask(sampling=chat_pb2.Sampling(temperature=9))
    await stream("well-good", 1000)
    await stream("well-slow", 3)  # the caller goes away
    await stream("reset-mid-stream", 1000)
    with contextlib.suppress(grpc.aio.AioRpcError):
        await house.complete(secret[:-4] + "beef", CANARY, model="well-good")  # a wrong key
    return told


async def metrics(house):
    pages = []
    async with aiohttp.ClientSession() as session:
        for name in house.processes:
            port = house.ports[f"{name}-metrics"]
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                pages.append(await answer.text())
    return "".join(pages)


async def test_nothing_that_was_written_shows_anywhere(house, tenant):
    """Nor any eight letters of a key."""
    if house.envoy is None:
        pytest.skip("no envoy")
    secret = await house.key(tenant)
    told = await paths(house, secret)
    assert len(told) >= 6
    await until(lambda: any(CANARY in str(seen.body) for seen in house.upstream.seen))
    assert any(PROVIDER_KEY in str(seen.headers) for seen in house.upstream.seen)
    await asyncio.sleep(1.5)  # spans and bookings under way
    books = b"".join(path.read_bytes() for path in house.folder.glob("ledger.db*"))
    outbox = b"".join(path.read_bytes() for path in (house.folder / "outbox").iterdir())
    places = {
        "errors": " ".join(told).encode(),
        "logs": house.logs().encode(),
        "spans": b"".join(house.sink.raw),
        "metrics": (await metrics(house)).encode(),
        "books": books,
        "outbox": outbox,
    }
    assert all(places.values())
    for name, content in places.items():
        assert CANARY.encode() not in content, name
        for key in (secret[3:], PROVIDER_KEY, TOKEN):
            pieces = {key[at : at + PIECE].encode() for at in range(len(key) - PIECE + 1)}
            shown = [piece for piece in pieces if piece in content]
            assert not shown, (name, len(shown))
