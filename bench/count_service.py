"""The tokenizer as a service: a call a text against coalesced calls, and stalls of its loop."""

import asyncio
import subprocess
import sys
import time
from statistics import median
from typing import Any

from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from bench.count_engine import ENGLISH, HOSTILE
from bench.hops import started
from chassis.channel import Link
from chassis.deadline import Deadline
from chassis.hop import BatchHop
from chassis.server import running
from services.tokenizer.settings import TokenizerSettings
from services.tokenizer.wiring import SERVICE_NAME, build

CALLERS = 64
CALL_SECONDS_MAX = 60.0
TEXT = ENGLISH[:100]
BEAT_SECONDS = 0.001


def callers(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Counts a second, unary and coalesced, medians over alternating rounds."""
    with started("leaf") as leaf:
        return asyncio.run(_callers(leaf.address, seconds, rounds))


async def _callers(address: str, seconds: float, rounds: int) -> list[dict[str, Any]]:
    link = Link(address, SERVICE_NAME, None)
    stub: Any = link.stub(pb_grpc.TokenizerServiceStub)
    hop = BatchHop(link, stub.Count, pb.CountRequest)

    async def unary() -> None:
        request = pb.CountRequest(items=[pb.CountItem(model="gpt-4o", text=TEXT)])
        await link.call(stub.Count, request, Deadline.after(CALL_SECONDS_MAX))

    async def coalesced() -> None:
        item = pb.CountItem(model="gpt-4o", text=TEXT)
        await hop.call(item, Deadline.after(CALL_SECONDS_MAX))

    await _rate(unary, 0.5)
    await _rate(coalesced, 0.5)
    rates: dict[str, list[float]] = {"unary": [], "coalesced": []}
    for _ in range(rounds):
        rates["unary"].append(await _rate(unary, seconds))
        rates["coalesced"].append(await _rate(coalesced, seconds))
    await hop.close()
    await link.close()
    one, many = median(rates["unary"]), median(rates["coalesced"])
    return [
        {
            "callers": CALLERS,
            "unary_per_second": one,
            "coalesced_per_second": many,
            "times": many / one,
            "times_worst_round": min(
                b / a for a, b in zip(rates["unary"], rates["coalesced"], strict=True)
            ),
        }
    ]


async def _rate(call: Any, seconds: float) -> float:
    done = 0
    end = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - began)


def stalls() -> list[dict[str, Any]]:
    """For each hostile text of 4 MB: the longest gap between two turns of the service's loop."""
    return asyncio.run(_stalls())


async def _stalls() -> list[dict[str, Any]]:
    rows = []
    async with running("tokenizer", TokenizerSettings(), build) as server:
        # The client's own work on 4 MB is not the service's: another process sends.
        for kind in HOSTILE:
            if kind == "lone surrogates":  # no proto can carry them
                continue
            sender = await asyncio.create_subprocess_exec(
                *_SENDER, server.address, kind, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert sender.stdin is not None
            assert sender.stdout is not None
            await sender.stdout.readline()
            sender.stdin.write(b"go\n")
            told = asyncio.ensure_future(sender.stdout.readline())
            worst = 0.0
            last = time.perf_counter()
            while not told.done():
                await asyncio.sleep(BEAT_SECONDS)
                now = time.perf_counter()
                worst, last = max(worst, now - last - BEAT_SECONDS), now
            sender.stdin.close()
            await sender.wait()
            answer = (await told).decode().split()
            rows.append({"text": kind, "tokens": int(answer[0]), "longest_stall_ms": worst * 1000})
    return rows


_SENDER = (sys.executable, "-m", "bench.count_sender")
