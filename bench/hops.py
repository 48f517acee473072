"""A plain hop against a coalesced one, in one run: `python -m bench.hops`.

Three processes on this machine: this one is the client, with many callers at once; the front
stands for the gateway and hands each request on; the leaf is the real tokenizer, counting a text
of three letters, so that the cost is the hop's. Plain and coalesced rounds alternate, so that
what else the machine does falls on both; medians over the rounds.
"""

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import grpc
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from bench.hop_servers import COALESCED, FRONT, PLAIN

CALL_SECONDS_MAX = 30.0
WARM_UP_SECONDS = 1.0
MODES = (PLAIN, COALESCED)


class Server:
    """One of the servers, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address: str = json.loads(self._line())["address"]

    def cpu_ns(self) -> int:
        """CPU that it has used so far, in nanoseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a server ended with status {self._process.wait()}")
        return line


@contextmanager
def started(*args: str) -> Iterator[Server]:
    """A server; ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.hop_servers", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Server(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Round:
    """What one round showed; times in microseconds, CPU a request."""

    requests_per_second: float
    p50_us: float
    p99_us: float
    front_cpu_us: float
    leaf_cpu_us: float


async def drive(call: Any, callers: int, seconds: float) -> list[int]:
    """Latencies in nanoseconds of `callers` callers that each call again when answered."""
    request = pb.CountItem(model="gpt-4o", text="abc")
    latencies: list[int] = []
    end = time.perf_counter_ns() + int(seconds * 1e9)

    async def caller() -> None:
        now = time.perf_counter_ns()
        while now < end:
            answer = await call(request, timeout=CALL_SECONDS_MAX)
            if answer.tokens != 1:
                raise SystemExit(f"a wrong answer: {answer}")
            begin, now = now, time.perf_counter_ns()
            latencies.append(now - begin)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return latencies


async def measure(call: Any, callers: int, seconds: float, front: Server, leaf: Server) -> Round:
    """One round."""
    front_before, leaf_before = front.cpu_ns(), leaf.cpu_ns()
    begin = time.perf_counter()
    latencies = sorted(await drive(call, callers, seconds))
    elapsed = time.perf_counter() - begin
    count = len(latencies)
    return Round(
        requests_per_second=count / elapsed,
        p50_us=latencies[count // 2] / 1e3,
        p99_us=latencies[min(count - 1, count * 99 // 100)] / 1e3,
        front_cpu_us=(front.cpu_ns() - front_before) / count / 1e3,
        leaf_cpu_us=(leaf.cpu_ns() - leaf_before) / count / 1e3,
    )


def median_of(rounds: list[Round]) -> Round:
    """The median of each number."""
    rows = [asdict(each) for each in rounds]
    return Round(**{name: median(row[name] for row in rows) for name in rows[0]})


async def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Alternating rounds with many callers, then with one."""
    with ExitStack() as stack:
        leaf = stack.enter_context(started("leaf"))
        front = stack.enter_context(started("front", leaf.address))
        async with grpc.aio.insecure_channel(front.address) as channel:
            calls = {
                mode: channel.unary_unary(
                    f"/{FRONT}/{mode}",
                    request_serializer=pb.CountItem.SerializeToString,
                    response_deserializer=pb.TokenCount.FromString,
                )
                for mode in MODES
            }
            found: dict[str, dict[str, Any]] = {}
            for callers in (args.callers, 1):
                rounds: dict[str, list[Round]] = {mode: [] for mode in MODES}
                for mode in MODES:
                    await drive(calls[mode], callers, WARM_UP_SECONDS)
                for number in range(args.rounds):
                    order = MODES if number % 2 == 0 else MODES[::-1]
                    for mode in order:
                        seen = await measure(calls[mode], callers, args.seconds, front, leaf)
                        rounds[mode].append(seen)
                found[str(callers)] = {
                    mode.lower(): {
                        "median": asdict(median_of(rounds[mode])),
                        "rounds": [asdict(each) for each in rounds[mode]],
                    }
                    for mode in MODES
                }
    return {
        "machine": {"python": platform.python_version(), "grpcio": grpc.__version__},
        "rounds": args.rounds,
        "seconds": args.seconds,
        "callers": args.callers,
        "by_callers": found,
    }


def table_of(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['rounds']} alternating rounds of {result['seconds']:g} s, medians;"
        f" Python {result['machine']['python']}, grpcio {result['machine']['grpcio']}"
    ]
    head = ("", "requests/s", "p50 us", "p99 us", "front CPU us", "leaf CPU us")
    for callers, modes in result["by_callers"].items():
        plain, coalesced = (modes[mode.lower()]["median"] for mode in MODES)
        lines += ["", f"{callers} callers" if callers != "1" else "1 caller"]
        lines.append("{:<12}{:>12}{:>10}{:>10}{:>14}{:>13}".format(*head))
        for name, row in (("plain", plain), ("coalesced", coalesced)):
            shown = [f"{value:,.0f}" for value in row.values()]
            lines.append("{:<12}{:>12}{:>10}{:>10}{:>14}{:>13}".format(name, *shown))
        ratios = [f"{coalesced[key] / plain[key]:.2f}x" for key in plain]
        lines.append("{:<12}{:>12}{:>10}{:>10}{:>14}{:>13}".format("ratio", *ratios))
    return "\n".join(lines)


def main() -> None:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.hops", description="A plain hop against a coalesced one."
    )
    parser.add_argument("--json", action="store_true", help="print every round as JSON")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind (default 5)")
    parser.add_argument("--callers", type=int, default=64, help="callers at once (default 64)")
    args = parser.parse_args()
    result = asyncio.run(compare(args))
    print(json.dumps(result, indent=2) if args.json else table_of(result))


if __name__ == "__main__":
    main()
