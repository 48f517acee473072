"""Other gateways before the same provider, pinned, each in an environment of its own.

Installed from their registries into a folder that is kept between runs; where one cannot be
installed the table says so.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load.fleet import Usage, cpu_seconds, descendants, memory_bytes

LITELLM = "litellm[proxy]==1.106.2"
PORTKEY = "@portkey-ai/gateway@1.15.2"
READY_SECONDS_MAX = 90
KEY = "sk-bench"

# Its documentation's settings for production: no per-request logging, one worker a core or fewer,
# errors only. Redis where its cache is compared.
_LITELLM_FILE = """
model_list:
  - model_name: auto
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "http://{upstream}/v1", api_key: none}}
general_settings: {{master_key: {key}}}
litellm_settings:
  set_verbose: false
  json_logs: false
{cache}
"""
_LITELLM_CACHE = """
  cache: true
  cache_params: {{type: redis, host: {host}, port: {port}}}
"""


class PeerMissing(Exception):
    """It cannot be installed or started here; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway that serves at `http`, host:port."""

    name: str
    http: str
    key: str
    pid: int

    def usage(self) -> Usage:
        """CPU and memory of its processes."""
        pids = (self.pid, *descendants(self.pid))
        return Usage(
            {self.name: sum(map(_cpu, pids))}, {self.name: sum(memory_bytes(pid) for pid in pids)}
        )


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        return cpu_seconds(pid)
    return 0.0


@contextlib.contextmanager
def litellm(place: Path, upstream: str, redis: tuple[str, int] | None = None) -> Iterator[Peer]:
    """LiteLLM's proxy. `redis`: with its own exact cache there. Raises: PeerMissing."""
    home = place / "litellm"
    program = home / "bin" / "litellm"
    if not program.exists():
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin" / "pip"), "install", "--quiet", LITELLM])
    config = place / "litellm.yaml"
    cache = _LITELLM_CACHE.format(host=redis[0], port=redis[1]) if redis else ""
    config.write_text(_LITELLM_FILE.format(upstream=upstream, key=KEY, cache=cache))
    port = _free_port()
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_TELEMETRY": "False"}
    with _serving("litellm", command, port, quiet, "/health/liveliness") as pid:
        yield Peer("litellm", f"127.0.0.1:{port}", KEY, pid)


@contextlib.contextmanager
def portkey(place: Path, upstream: str) -> Iterator[Peer]:
    """Portkey's gateway. Its provider stands in a header, which the generator sends for it."""
    if shutil.which("npm") is None:
        raise PeerMissing("npm is not installed")
    home = place / "portkey"
    start = home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not start.exists():
        home.mkdir(parents=True, exist_ok=True)
        _run(["npm", "install", "--silent", "--prefix", str(home), PORTKEY])
    port = _free_port()
    command = ["node", str(start), f"--port={port}", "--headless"]
    with _serving("portkey", command, port, {"NODE_ENV": "production"}, "/") as pid:
        yield Peer("portkey", f"127.0.0.1:{port}", "none", pid)


def portkey_headers(upstream: str) -> str:
    """What Portkey must be told of the provider with each call."""
    return f"x-portkey-provider: openai|x-portkey-custom-host: http://{upstream}/v1"


@contextlib.contextmanager
def _serving(
    name: str, command: list[str], port: int, more: dict[str, str], health: str
) -> Iterator[int]:
    plain = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
    process = subprocess.Popen(
        command, env={**plain, **more}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(name, process, f"http://127.0.0.1:{port}{health}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(name: str, process: "subprocess.Popen[bytes]", url: str) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise PeerMissing(f"{name} ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise PeerMissing(f"{name} was not up after {READY_SECONDS_MAX} s")


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PeerMissing(f"{command[0]} failed: {error}") from error


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
