"""What a request costs each process of a fleet, and what a broken collector costs a request.

`python -m bench.fleet`: five services, Redis, SQLite and a provider that answers at once, all on
this machine, as the end-to-end tests start them; every request is traced, metrics are on. CPU is
what the kernel booked on each process, so that what else the machine does counts little; waiting
times are told as ratios of rounds that alternate. The client and the provider are this process.
"""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.asyncio import Redis

from tests.e2e.house import SERVICES, House
from tests.fakes.otlp_sink import OtlpSink

CALLERS = 16
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STATES = ("alive", "dead", "hung")
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """CPU of a process so far, threads and kernel included (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def resident_mib(pid: int) -> float:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MIB


class Fleet:
    """A running fleet and the key it is called with."""

    def __init__(self, house: House, secret: str) -> None:
        self.house = house
        self._secret = secret
        self._asked = 0

    async def cpu(self) -> dict[str, float]:
        """Seconds by process."""
        found = {name: cpu_seconds(child.pid) for name, child in self.house.children.items()}
        redis = Redis.from_url(self.house._redis_url)
        info = await redis.info("cpu")
        await redis.aclose()
        return {**found, "redis": info["used_cpu_user"] + info["used_cpu_sys"]}

    async def hit(self) -> None:
        """The very same question."""
        await self._ask("What is the capital of France?")

    async def miss(self) -> None:
        """A question nobody asked before, of about 40 tokens."""
        self._asked += 1
        await self._ask(f"Question {self._asked} of this run: " + "what is it about? " * 8)

    async def _ask(self, text: str) -> None:
        await self.house.complete(self._secret, text, model="cheap", feature="bench")


async def many(one: Callable[[], Awaitable[None]], count: int) -> list[float]:
    """Seconds of each of `count` calls, CALLERS at once."""
    took: list[float] = []

    async def caller(share: int) -> None:
        for _ in range(share):
            begin = time.perf_counter()
            await one()
            took.append(time.perf_counter() - begin)

    await asyncio.gather(*(caller(count // CALLERS) for _ in range(CALLERS)))
    return sorted(took)


async def cpu_of(fleet: Fleet, name: str, one: Callable[[], Awaitable[None]], count: int) -> None:
    """Prints microseconds of CPU a request, by process."""
    await many(one, CALLERS * 8)
    before = await fleet.cpu()
    begin = time.perf_counter()
    took = await many(one, count)
    seconds = time.perf_counter() - begin
    after = await fleet.cpu()
    each = {who: (after[who] - before[who]) / len(took) * 1e6 for who in before}
    cells = "  ".join(f"{who} {each[who]:,.0f}" for who in each)
    print(f"{name:5} us of CPU a request: {cells}  sum {sum(each.values()):,.0f}")
    print(f"      {len(took) / seconds:,.0f} requests/s, p50 {took[len(took) // 2] * 1e3:.1f} ms")


async def collectors(fleet: Fleet, rounds: int, count: int) -> None:
    """Prints what hits take and cost by the collector's state, over those of one that answers.

    Short rounds in turning order, taken together: other work on the machine falls on all alike.
    """
    took: dict[str, list[float]] = {state: [] for state in STATES}
    used = dict.fromkeys(STATES, 0.0)
    for number in range(rounds):
        for at in range(len(STATES)):
            state = STATES[(number + at) % len(STATES)]
            await turn(fleet.house.sink, state)
            before = sum((await fleet.cpu()).values())
            took[state] += await many(fleet.hit, count)
            used[state] += sum((await fleet.cpu()).values()) - before
    await turn(fleet.house.sink, "alive")
    alive = sorted(took["alive"])
    for state in STATES[1:]:
        found = sorted(took[state])
        shares = [found[len(found) * q // 100] / alive[len(alive) * q // 100] for q in (50, 99)]
        cpu = used[state] / used["alive"]
        print(f"collector {state}: p50 x {shares[0]:.2f}, p99 x {shares[1]:.2f}, CPU x {cpu:.2f}")


async def turn(sink: OtlpSink, state: str) -> None:
    """Makes the collector answer, be away, or hang."""
    await sink.stop()
    sink.answers.set()
    if state != "dead":
        await sink.start()
    if state == "hung":
        sink.answers.clear()


async def run(count: int, rounds: int) -> None:
    """One fleet, all measurements."""
    with tempfile.TemporaryDirectory() as folder:
        async with House(Path(folder)) as house:
            fleet = Fleet(house, await house.key("bench"))
            await house.budget("bench", "all", 10**15)
            load = os.getloadavg()[0]
            print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start")
            await cpu_of(fleet, "miss", fleet.miss, count)
            await cpu_of(fleet, "hit", fleet.hit, count * 2)
            for name in (*SERVICES, "gateway"):
                print(f"      {name}: {resident_mib(house.children[name].pid):,.0f} MiB")
            await collectors(fleet, rounds, count // 4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="requests a measurement")
    parser.add_argument("--rounds", type=int, default=12, help="rounds of collectors")
    options = parser.parse_args()
    asyncio.run(run(options.count, options.rounds))
