"""Load on the whole fleet, and on its peers, in one run: `python -m bench.load`.

Fleet, peers, provider and load share this machine's cores. Rounds alternate, so that what else the
machine does falls on all; told are medians over the rounds. CPU is that of the gateway's own
processes, provider and load left out.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.load import peers
from bench.load.fleet import Running, running_fleet
from bench.load.generator import Generator, NoToolchain
from bench.load.payloads import ANSWER
from bench.load.profiles import Profile, Rounds, profiles

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spendgate-bench"
WARM_UP_SECONDS = 1.5
PEERS = {"litellm": peers.litellm, "portkey": peers.portkey}
# docs/performance.md says what each gives.
FAST = {"SPENDGATE_TRACE_RATIO": "0.1", "SPENDGATE_LOG_LEVEL": "warning"}


@dataclass
class Row:
    """A profile on a gateway, over all rounds."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    cpu_us: list[dict[str, float]] = field(default_factory=list)
    memory_bytes: int = 0

    def median(self, *path: str) -> float:
        """The median of a figure of the rounds."""
        found = []
        for each in self.rounds:
            value: Any = each
            for key in path:
                value = value.get(key, 0) if isinstance(value, dict) else 0
            found.append(float(value))
        return statistics.median(found)

    def told(self) -> dict[str, Any]:
        """For programs."""
        names = {name for each in self.cpu_us for name in each}
        return {
            "requests_per_second": round(self.median("requests_per_second"), 1),
            "p50_us": self.median("latency_us", "p50"),
            "p95_us": self.median("latency_us", "p95"),
            "p99_us": self.median("latency_us", "p99"),
            "first_piece_p50_us": self.median("first_piece_us", "p50"),
            "late_p99_us": self.median("late_us", "p99"),
            "failures": sum(sum(each["failures"].values()) for each in self.rounds),
            "cpu_us_by_process": {
                name: round(statistics.median(each.get(name, 0.0) for each in self.cpu_us))
                for name in sorted(names)
            },
            "memory_mib": self.memory_bytes >> 20,
        }


def main() -> None:
    """Prints a table, or one JSON document."""
    arguments = _arguments()
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        generator = Generator.build(CACHE)
    except NoToolchain:
        sys.exit("the load generator is built with Go 1.25 or newer, which is not installed")
    chosen = [each for each in profiles() if arguments.only in each.name]
    told: dict[str, Any] = {
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "load_before": os.getloadavg()[0],
        **_measured(generator, chosen, arguments),
    }
    if arguments.json:
        print(json.dumps(told, indent=2))
    else:
        _show(told)


def _measured(
    generator: Generator, chosen: list[Profile], arguments: argparse.Namespace
) -> dict[str, Any]:
    rows: dict[tuple[str, str], Row] = defaultdict(Row)
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "answer").write_bytes(ANSWER)
        upstream = stack.enter_context(generator.upstream(folder / "answer"))
        fleet = stack.enter_context(running_fleet(upstream, environment=FAST))
        gateways: dict[str, Any] = {"bare provider": upstream, "spendgate": fleet}
        for name in filter(None, arguments.peers.split(",")):
            try:
                gateways[name] = stack.enter_context(PEERS[name](CACHE, upstream))
            except peers.PeerMissing as error:
                missing[name] = str(error)
        rounds = Rounds(generator, folder)
        for number in range(-1, arguments.rounds):
            seconds = arguments.seconds if number >= 0 else WARM_UP_SECONDS
            for profile in chosen:
                for name, gateway in gateways.items():
                    if profile.kind == "grpc" and name != "spendgate":
                        continue
                    headers = peers.portkey_headers(upstream) if name == "portkey" else ""
                    row = rows[profile.name, name] if number >= 0 else Row()
                    _round(row, rounds, profile, gateway, seconds=seconds, headers=headers)
    return {
        "missing": missing,
        "ready_seconds": round(fleet.ready_seconds, 2),
        "profiles": {
            profile.name: {
                name: rows[profile.name, name].told()
                for name in gateways
                if (profile.name, name) in rows
            }
            for profile in chosen
        },
    }


def _round(
    row: Row, rounds: Rounds, profile: Profile, gateway: Any, *, seconds: float, headers: str
) -> None:
    if isinstance(gateway, str):
        row.rounds.append(rounds.one(profile, gateway, "", seconds))
        row.cpu_us.append({})
        return
    address = gateway.http
    if isinstance(gateway, Running) and profile.kind == "grpc":
        address = gateway.grpc
    before = gateway.usage()
    told = rounds.one(profile, address, gateway.key, seconds, headers=headers)
    after = gateway.usage()
    count = max(1, told["requests"])
    row.rounds.append(told)
    row.cpu_us.append({n: s / count * 1e6 for n, s in after.cpu_since(before).items()})
    row.memory_bytes = sum(after.memory_bytes.values())


def _show(told: dict[str, Any]) -> None:
    console = Console(width=110)
    console.print(f"{told['machine']}; medians; the fleet was ready in {told['ready_seconds']} s")
    for name, why in told["missing"].items():
        console.print(f"not measured: {name}: {why}")
    for profile, gateways in told["profiles"].items():
        table = Table(title=profile, title_justify="left", box=None)
        for heading in ("", "requests/s", "p50 ms", "p95 ms", "p99 ms", "first piece ms",
                        "CPU us", "MiB", "failed"):  # fmt: skip
            table.add_column(heading, justify="left" if not heading else "right")
        for name, row in gateways.items():
            cpu = sum(row["cpu_us_by_process"].values())
            first = row["first_piece_p50_us"]
            table.add_row(
                name,
                f"{row['requests_per_second']:,.0f}",
                *(f"{row[each] / 1000:.1f}" for each in ("p50_us", "p95_us", "p99_us")),
                f"{first / 1000:.1f}" if first else "",
                f"{cpu:,.0f}" if cpu else "",
                str(row["memory_mib"] or ""),
                str(row["failures"]),
            )
        console.print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--only", default="", help="profiles whose name has this in it")
    parser.add_argument("--peers", default="", help="litellm,portkey: installed where missing")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
