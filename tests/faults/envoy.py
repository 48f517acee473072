"""Envoy before the provider: it injects the faults that a provider and its network make.

A provider's base_url goes to a route by its first word: /down/v1 is the provider when it is down.
"""

import asyncio
import json
import shutil
import socket
from pathlib import Path

import aiohttp

READY_SECONDS_MAX = 20.0
RETRY_AFTER_SECONDS = 1


def why_not() -> str:
    """Why no Envoy can run here; "" when one can."""
    return "" if shutil.which("envoy") or _beside() else "no envoy: install the extra dev"


def _beside() -> Path | None:
    import sys

    found = Path(sys.executable).parent / "envoy"
    return found if found.exists() else None


def _fault(word, **fault):
    name = "envoy.filters.http.fault"
    kind = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
    return _route(word) | {"typed_per_filter_config": {name: {"@type": kind, **fault}}}


def _route(word, **action):
    return {
        "match": {"prefix": f"/{word}/"},
        "route": {"cluster": "provider", "prefix_rewrite": "/", "timeout": "0s", **action},
    }


def _direct(word, status, body, **headers):
    told = [{"header": {"key": key, "value": value}} for key, value in headers.items()]
    return {
        "match": {"prefix": f"/{word}/"},
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": told,
    }


ALWAYS = {"numerator": 100, "denominator": "HUNDRED"}
ROUTES = [
    _route("well"),
    # 429 with Retry-After, as a provider says that it has too much to do.
    _direct(
        "busy", 429, '{"error": {"code": "rate_limit_exceeded"}}',
        **{"retry-after": str(RETRY_AFTER_SECONDS)},
    ),
    _fault("down", abort={"http_status": 503, "percentage": ALWAYS}),
    # A third of the calls fail.
    _fault("shaky", abort={"http_status": 503, "percentage": {"numerator": 33}}),
    _fault("hanging", delay={"fixed_delay": "30s", "percentage": ALWAYS}),
    # The connection breaks in the middle of an answer.
    _route("breaking", max_stream_duration={"max_stream_duration": "0.3s"}),
    _direct("garbled", 200, "<html>no answer</html>", **{"content-type": "application/json"}),
]  # fmt: skip


class Envoy:
    """One Envoy over `target` (host:port of the provider)."""

    def __init__(self, folder: Path, target: str) -> None:
        self._folder = folder
        self._host, _, port = target.rpartition(":")
        self._target_port = int(port)
        self.port, self._admin = _free_port(), _free_port()
        self._process: asyncio.subprocess.Process | None = None

    def base_url(self, word: str) -> str:
        """The provider with the fault of this name."""
        return f"http://127.0.0.1:{self.port}/{word}/v1"

    async def __aenter__(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "envoy.json"
        config.write_text(json.dumps(self._config()))
        binary = shutil.which("envoy") or str(_beside())
        log = (self._folder / "envoy.log").open("wb")
        self._process = await asyncio.create_subprocess_exec(
            binary, "-c", str(config), "--concurrency", "1", "--disable-hot-restart",
            "--log-level", "warning", stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        try:
            await self._ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_):
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def _ready(self):
        async with asyncio.timeout(READY_SECONDS_MAX), aiohttp.ClientSession() as session:
            while True:
                if self._process.returncode is not None:
                    raise AssertionError((self._folder / "envoy.log").read_text()[-2000:])
                try:
                    async with session.get(f"http://127.0.0.1:{self._admin}/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    def _config(self):
        router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        fault = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
        manager = (
            "type.googleapis.com/envoy.extensions.filters.network"
            ".http_connection_manager.v3.HttpConnectionManager"
        )
        http = {
            "@type": manager,
            "stat_prefix": "provider",
            "http_filters": [
                {"name": "envoy.filters.http.fault", "typed_config": {"@type": fault}},
                {"name": "envoy.filters.http.router", "typed_config": {"@type": router}},
            ],
            "route_config": {"virtual_hosts": [{"name": "p", "domains": ["*"], "routes": ROUTES}]},
        }
        listener = {
            "address": _at(self.port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": http}]}],
        }
        endpoint = {"endpoint": {"address": _at(self._target_port)}}
        cluster = {
            "name": "provider",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": "provider",
                "endpoints": [{"lb_endpoints": [endpoint]}],
            },
        }
        return {
            "admin": {"address": _at(self._admin)},
            "static_resources": {"listeners": [listener], "clusters": [cluster]},
        }


def _at(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
