"""The cache service's look-ups, isolation and size, in one run: `python -m bench.cache_service`.

Look-ups: this process is the client with many callers at once, the service runs in a process of
its own over a real Redis. One lookup a call and one Redis round trip each, against coalesced;
rounds alternate, medians over them. Isolation: random look-ups over tenant, model, system prompt
and tools. Size: entries are added up to --entries; what a look-up costs is measured on the way.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import redis.asyncio
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import cache_service_pb2_grpc as rpc
from spendgate.chat.v1 import chat_pb2

from chassis.channel import Link
from chassis.deadline import Deadline
from chassis.hop import BatchHop
from cli.embedded.redis import RedisServer

SERVICE = "spendgate.cache.v1.CacheService"
START_SECONDS_MAX = 60.0
CALL_SECONDS_MAX = 60.0
ANSWER = "The capital of France is Paris, on the Seine, with some two million inhabitants. " * 5
WARM_ENTRIES = 1_000
STORE_BATCH = 250
Call = Callable[[pb.LookupItem], Awaitable[Any]]


def item_of(text: str, tenant: str = "bench") -> pb.LookupItem:
    """A look-up of one question."""
    prompt = chat_pb2.Prompt(
        messages=[
            chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content="You answer in one sentence."),
            chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text),
        ]
    )
    return pb.LookupItem(scope=pb.Scope(tenant=tenant), model="auto", prompt=prompt)


def answer_of(text: str) -> pb.Answer:
    """A finished answer."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=text)
    choice = chat_pb2.Choice(message=message, finish_reason=chat_pb2.FINISH_REASON_STOP)
    return pb.Answer(choices=[choice], model="m", cost_nanos=1_000)


async def store(stub: Any, items: Sequence[pb.LookupItem], texts: Sequence[str]) -> None:
    """Looks `items` up for their keys and stores an answer for each."""
    for start in range(0, len(items), STORE_BATCH):
        part = items[start : start + STORE_BATCH]
        found = await stub.Lookup(pb.LookupRequest(items=part), timeout=CALL_SECONDS_MAX)
        keep = [
            pb.StoreItem(scope=item.scope, key=result.finding.key, answer=answer_of(text))
            for item, result, text in zip(
                part, found.results, texts[start : start + STORE_BATCH], strict=True
            )
        ]
        done = await stub.Store(pb.StoreRequest(items=keep), timeout=CALL_SECONDS_MAX)
        if any(result.HasField("error") for result in done.results):
            raise SystemExit("the store refused an answer")


async def drive(call: Call, items: Sequence[pb.LookupItem], callers: int, seconds: float) -> float:
    """Look-ups a second of `callers` callers that each ask again when answered."""
    end = time.perf_counter() + seconds
    count = 0

    async def caller(number: int) -> None:
        nonlocal count
        chance = random.Random(number)
        while time.perf_counter() < end:
            await call(items[chance.randrange(len(items))])
            count += 1

    begun = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    return count / (time.perf_counter() - begun)


async def look_ups(stub: Any, hop: BatchHop, url: str, options: Any) -> dict[str, float]:
    """Look-ups a second by way of asking; medians over the rounds."""
    items = [item_of(f"question number {n}") for n in range(WARM_ENTRIES)]
    await store(stub, items, [ANSWER] * len(items))
    client = redis.asyncio.Redis.from_url(url, max_connections=options.callers)
    (key,) = (await client.scan(count=10_000, match="*:x:*"))[1][:1]

    async def single(item: pb.LookupItem) -> None:
        request = pb.LookupRequest(items=[item])
        response = await stub.Lookup(request, timeout=CALL_SECONDS_MAX)
        if response.results[0].finding.outcome != pb.OUTCOME_EXACT:
            raise SystemExit("a kept answer was not found")

    async def coalesced(item: pb.LookupItem) -> None:
        copy = pb.LookupItem()
        copy.CopyFrom(item)
        finding = await hop.call(copy, Deadline.after(CALL_SECONDS_MAX))
        if finding.outcome != pb.OUTCOME_EXACT:
            raise SystemExit("a kept answer was not found")

    async def bare(_: pb.LookupItem) -> None:
        await client.get(key)

    ways = {
        "one_redis_round_trip_each": (bare, 1),
        "one_redis_round_trip_each_many_callers": (bare, options.callers),
        "service_one_call_each_one_caller": (single, 1),
        "service_one_call_each": (single, options.callers),
        "service_coalesced": (coalesced, options.callers),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, (call, callers) in ways.items():
            rates[name].append(await drive(call, items, callers, options.seconds))
    await client.aclose()
    found = {name: round(median(each)) for name, each in rates.items()}
    whole = found["service_coalesced"]
    print(f"look-ups/s, {options.callers} callers, medians of {options.rounds} rounds:")
    for name, rate in found.items():
        print(f"  {name:42} {rate:8,}   coalesced is {whole / rate:5.2f}x")
    return found


async def isolation(stub: Any, count: int) -> dict[str, int]:
    """Hits across scopes among random look-ups; must be 0."""
    chance = random.Random(20261123)

    def drawn() -> tuple[pb.LookupItem, str]:
        item = item_of("What is the capital of France?", chance.choice(["a", "b", "ab"]))
        item.scope.user = chance.choice(["", "u"])
        item.model = chance.choice(["auto", "small"])
        item.prompt.messages[0].content = chance.choice(["Help.", "Help!", "Hinder."])
        tool = chance.choice(["", "find", "send"])
        if tool:
            item.prompt.tools.add(name=tool)
        named = (item.scope.tenant, item.scope.user, item.model, tool)
        return item, repr((*named, item.prompt.messages[0].content))

    stored = [drawn() for _ in range(60)]
    await store(stub, [item for item, _ in stored], [name for _, name in stored])
    hits = wrong = 0
    for _ in range(count // STORE_BATCH):
        pairs = [drawn() for _ in range(STORE_BATCH)]
        request = pb.LookupRequest(items=[item for item, _ in pairs])
        response = await stub.Lookup(request, timeout=CALL_SECONDS_MAX)
        for (_, name), result in zip(pairs, response.results, strict=True):
            if result.finding.HasField("answer"):
                hits += 1
                wrong += result.finding.answer.choices[0].message.content != name
    print(f"isolation: {count:,} random look-ups, {hits:,} hits, {wrong} across scopes")
    if wrong:
        raise SystemExit("an answer crossed its scope")
    return {"look_ups": count, "hits": hits, "wrong": wrong}


async def size(stub: Any, url: str, entries: int) -> list[dict[str, float]]:
    """What a look-up costs, and an entry takes, as entries grow tenfold."""
    client = redis.asyncio.Redis.from_url(url)
    found = []
    before = int((await client.info("memory"))["used_memory"])
    have, target = 0, 1_000
    while have < entries:
        target = min(entries, target)
        while have < target:
            part = range(have, min(target, have + STORE_BATCH))
            keys = [f"{n:064x}" for n in part]
            keep = [
                pb.StoreItem(
                    scope=pb.Scope(tenant="size"), key=key, answer=answer_of(f"{ANSWER}{key}")
                )
                for key in keys
            ]
            await stub.Store(pb.StoreRequest(items=keep), timeout=CALL_SECONDS_MAX)
            have = part.stop
        took = []
        for n in range(500):
            request = pb.LookupRequest(items=[item_of(f"question number {n % WARM_ENTRIES}")])
            begun = time.perf_counter_ns()
            await stub.Lookup(request, timeout=CALL_SECONDS_MAX)
            took.append(time.perf_counter_ns() - begun)
        used = int((await client.info("memory"))["used_memory"]) - before
        row = {"entries": have, "look_up_us_p50": median(took) / 1e3, "bytes_an_entry": used / have}
        found.append(row)
        print(f"size: {have:9,} entries: look-up p50 {row['look_up_us_p50']:6.0f} us,"
              f" {row['bytes_an_entry']:5.0f} bytes an entry")  # fmt: skip
        target *= 10
    await client.aclose()
    return found


async def run(options: Any) -> dict[str, Any]:
    """Everything; the figures."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        memory = {"maxmemory": "0", "save": '""'}
        server = await stack.enter_async_context(RedisServer(folder / "redis", options=memory))
        address = await _service(stack, server.url)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        stub = rpc.CacheServiceStub(channel)
        link = Link(address, SERVICE, None)
        stack.push_async_callback(link.close)
        hop = BatchHop(link, link.stub(rpc.CacheServiceStub).Lookup, pb.LookupRequest)
        stack.push_async_callback(hop.close)
        return {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "look_ups_per_second": await look_ups(stub, hop, server.url, options),
            "isolation": await isolation(stub, options.isolation),
            "size": await size(stub, server.url, options.entries),
        }


async def _service(stack: AsyncExitStack, url: str) -> str:
    """The service in a process of its own; its address."""
    code = (
        "import asyncio, os, sys\n"
        "from chassis.server import running\n"
        "from services.cache.settings import CacheSettings\n"
        "from services.cache.wiring import build\n"
        "async def serve():\n"
        "    given = CacheSettings(redis_url=os.environ['BENCH_REDIS'], redis_timeout_ms=5000,\n"
        "        redis_store_timeout_ms=30000, semantic=False, answer_bytes_max=10_000)\n"
        "    async with running('cache', given, build) as service:\n"
        "        print(service.address, flush=True)\n"
        "        await asyncio.to_thread(sys.stdin.read)\n"
        "asyncio.run(serve())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "BENCH_REDIS": url},
    )  # fmt: skip

    async def stop() -> None:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()

    stack.push_async_callback(stop)
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS_MAX):
        return (await process.stdout.readline()).decode().strip()


def main() -> None:
    """Prints figures; writes them with --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round")
    parser.add_argument("--isolation", type=int, default=10_000, help="random look-ups")
    parser.add_argument("--entries", type=int, default=10_000, help="1000000 takes some minutes")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    figures = asyncio.run(run(options))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
