"""A fleet of its own for a measurement: started as users start it, watched from outside."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
READY_SECONDS_MAX = 120
STOP_SECONDS_MAX = 40

# One strong and one cheap model of a provider that takes no time.
FLEET_FILE = """
providers:
  static: {{base_url: "http://{upstream}/v1", timeout_seconds: 30}}
models:
  gpt-5.4: {{provider: static, priced_as: openai/gpt-5.4, capabilities: [tools],
    context_window_tokens: 200000, output_tokens_max: 4096, output_tokens_default: 64}}
  gpt-4o-mini: {{provider: static, priced_as: openai/gpt-4o-mini, capabilities: [tools],
    context_window_tokens: 128000, output_tokens_max: 4096, output_tokens_default: 64}}
baseline_model: gpt-5.4
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have used so far, and hold now."""

    cpu_seconds: Mapping[str, float]
    memory_bytes: Mapping[str, int]

    def cpu_since(self, before: "Usage") -> dict[str, float]:
        """CPU seconds by process since `before`."""
        return {
            name: used - before.cpu_seconds.get(name, 0.0)
            for name, used in self.cpu_seconds.items()
        }


@dataclass(frozen=True, slots=True)
class Running:
    """A fleet that serves."""

    grpc: str
    http: str
    key: str
    pid: int
    folder: Path
    ready_seconds: float

    def usage(self) -> Usage:
        """CPU and memory of every process of the fleet, by what it runs."""
        cpu: dict[str, float] = {}
        memory: dict[str, int] = {}
        for pid in (self.pid, *descendants(self.pid)):
            name = process_name(pid)
            with contextlib.suppress(OSError):
                cpu[name] = cpu.get(name, 0.0) + cpu_seconds(pid)
                memory[name] = memory.get(name, 0) + memory_bytes(pid)
        return Usage(cpu, memory)


@contextlib.contextmanager
def running_fleet(
    upstream: str, *, extra: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """`spendgate up` before the provider at `upstream`, host:port; ended with the block.

    `extra` is added to the fleet file. Raises: RuntimeError when it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="spendgate-bench-") as place:
        folder = Path(place)
        config = folder / "fleet.yaml"
        config.write_text(FLEET_FILE.format(upstream=upstream) + extra)
        start = time.monotonic()
        process = subprocess.Popen(
            [
                sys.executable, "-m", "cli.main", "up", "--json", "--dir", str(folder / "data"),
                "--config", str(config), "--grpc-port", "17070", "--http-port", "17080",
            ],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            told = _wait_until_up(process)
            yield Running(
                grpc=told["grpc"],
                http=told["http"].removeprefix("http://").removesuffix("/v1"),
                key=told["admin_key"],
                pid=process.pid,
                folder=folder / "data",
                ready_seconds=time.monotonic() - start,
            )
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_up(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        told: dict[str, Any] = json.loads(line)
        if told["event"] == "up":
            return told
    raise RuntimeError(f"the fleet ended with status {process.wait()}")


def descendants(pid: int) -> list[int]:
    """All processes below `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def process_name(pid: int) -> str:
    """What a process runs, in a word: the module of a service, else the program."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return "gone"
    if "cli.embedded.together" in words:
        return "gateway"
    if "-m" in words:
        module = words[words.index("-m") + 1]
        return module.removeprefix("services.").replace("cli.main", "supervisor")
    return Path(words[0]).name.split(":")[0]


def cpu_seconds(pid: int) -> float:
    """User and system time of one process. Raises OSError when it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> int:
    """Memory a process holds, pages shared with others by their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
