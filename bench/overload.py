"""A gateway at four times what it can do: `python -m bench.overload`.

The whole fleet as processes, a provider that takes 0.3 s, every request a miss. One run has it all,
so that what else the machine does falls on every figure: what the fleet can do (callers that wait),
then four times that for ten seconds from one tenant with a small steady load of another beside it,
then half of what it can do. Goodput is answers a second while overloaded, against the capacity;
recovery is how long after the overload requests are answered as before: the first half second in
which at least 95 % of them are.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.e2e.house import House

CALLERS = 64
CAPACITY_SECONDS = 6.0
OVERLOAD = 4
AFTER_SECONDS = 5.0
POLITE_SHARE = 0.1
WINDOW_SECONDS = 0.5
WELL_SHARE = 0.95


class Loader:
    """The process that makes the load."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, **phase: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(phase).encode() + b"\n")
        await self._process.stdin.drain()
        told: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return told


def served_in(told: dict[str, Any], begin: float, end: float, tenant: int | None = None) -> int:
    return sum(
        begin <= answered < end and tenant in (None, whose) for _, answered, whose in told["served"]
    )


def recovery_seconds(after: dict[str, Any], rate: float) -> float:
    """When requests sent in a window began to be answered as before."""
    at = 0.0
    while at + WINDOW_SECONDS <= AFTER_SECONDS:
        sent = [row for row in after["served"] if at <= row[0] < at + WINDOW_SECONDS]
        if len(sent) >= WELL_SHARE * rate * WINDOW_SECONDS:
            return at
        at += WINDOW_SECONDS / 5
    return AFTER_SECONDS


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def show(capacity: dict[str, Any], over: dict[str, Any], after: dict[str, Any], c: float) -> None:
    def latency_ms(told: dict[str, Any]) -> list[float]:
        return [1000 * (answered - sent) for sent, answered, _ in told["served"]]

    goodput = served_in(over, 1.0, over["asked_seconds"]) / (over["asked_seconds"] - 1.0)
    polite = over["outcomes"].get("1 OK", 0)
    polite_sent = sum(n for name, n in over["outcomes"].items() if name.startswith("1 "))
    print(f"load of the machine before    {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"capacity                      {c:,.0f}/s, p50 {median(latency_ms(capacity)):,.0f} ms")
    print(f"offered                       {over['sent'] / over['asked_seconds']:,.0f}/s")
    print(f"goodput                       {goodput:,.0f}/s, {100 * goodput / c:.0f} % of capacity")
    slow = percentile(latency_ms(over), 0.95)
    print(f"p95 of what was served        {slow:,.0f} ms")
    print(f"the other tenant              {polite} of {polite_sent} served")
    print(f"the load was late by           {over['late_seconds']:.2f} s")
    print(f"outcomes                      {over['outcomes']}")
    print(f"recovery                      {recovery_seconds(after, c / 2):.1f} s")
    print(f"after it                      {after['outcomes']}")


async def measure(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with House(Path(folder)) as house:
            house.upstream.delay_seconds = 0.3
            secrets = [await house.key("flood"), await house.key("polite")]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.overload_load",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=64 * 2**20,
            )
            assert process.stdin is not None
            head = {"address": house.address("gateway"), "secrets": secrets}
            process.stdin.write(json.dumps(head).encode() + b"\n")
            loader = Loader(process)
            try:
                await loader.run(kind="closed", seconds=2.0, callers=CALLERS)
                capacity = await loader.run(
                    kind="closed", seconds=CAPACITY_SECONDS, callers=CALLERS
                )
                c = len(capacity["served"]) / capacity["seconds"]
                over = await loader.run(
                    kind="open",
                    seconds=seconds,
                    rates=[OVERLOAD * c, POLITE_SHARE * c],
                )
                over["asked_seconds"] = seconds
                after = await loader.run(kind="open", seconds=AFTER_SECONDS, rates=[c / 2])
            finally:
                process.stdin.close()
                await process.wait()
            show(capacity, over, after, c)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of overload")
    asyncio.run(measure(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
