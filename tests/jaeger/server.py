"""The Jaeger that the check asks: one that is given by its addresses, or one built here."""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

HERE = Path(__file__).parent
BUILT = HERE / ".build" / "jaeger"
COMPONENT = HERE.parents[1] / "k8s" / "components" / "jaeger"
SERVICE = "spendgate-gateway"
LOOK_BACK_SECONDS = 3600
TRACES_MAX = 1000


@dataclass(frozen=True)
class Addresses:
    """Where Jaeger is asked (a URL) and where it takes spans (host:port)."""

    query_url: str
    otlp: str


def given() -> Addresses | None:
    """By the environment."""
    query, otlp = os.environ.get("JAEGER_QUERY_URL"), os.environ.get("JAEGER_OTLP_ENDPOINT")
    return Addresses(query.rstrip("/"), otlp) if query and otlp else None


@asynccontextmanager
async def built(folder: Path, config: Path = COMPONENT / "config.yaml") -> AsyncIterator[Addresses]:
    """The one that was built, by default with the configuration that is deployed."""
    ports = {name: _free_port() for name in ("OTLP", "HTTP", "GRPC", "HEALTH")}
    told = {f"JAEGER_{name}_PORT": str(port) for name, port in ports.items()}
    ui = {"JAEGER_UI_FILE": str(COMPONENT / "ui.json"), "JAEGER_LISTEN_HOST": "127.0.0.1"}
    with (folder / "jaeger.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(BUILT, f"--config={config}"),
            env={**os.environ, **told, **ui},
            stdout=log,
            stderr=log,
        )
    try:
        query_url = f"http://127.0.0.1:{ports['HTTP']}"
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while not await _answers(session, query_url):
                assert process.returncode is None, (folder / "jaeger.log").read_text()[-3000:]
                await asyncio.sleep(0.1)
        yield Addresses(query_url, f"127.0.0.1:{ports['OTLP']}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Jaeger:
    """Jaeger's query API, version 3, as far as it goes; /api/v3 finds by tags from v2.20 on only,
    before that a search is the page's own."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Addresses) -> None:
        self._session = session
        self._url = addresses.query_url
        self.otlp = addresses.otlp

    async def services(self) -> set[str]:
        found = await self._get("/api/v3/services", {})
        return set(found.get("services", ()))

    async def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans, each with its attributes as a dict; none while it is not there."""
        return _spans(await self._get(f"/api/v3/traces/{trace_id}", {}))

    async def recent(self) -> list[dict[str, Any]]:
        """All spans of the last traces of the gateway."""
        return _spans(await self._get("/api/v3/traces", _query(SERVICE)))

    async def search(self, tags: Mapping[str, str], service: str = SERVICE) -> set[str]:
        """Ids of the traces with a span of `service` that has all these tags."""
        told = json.dumps(dict(tags))
        nothing = {**_query(service), "query.attributes": '{"spendgate.is.not.there":"x"}'}
        if not _spans(await self._get("/api/v3/traces", nothing)):
            asked = {**_query(service), "query.attributes": told}
            return {s["traceId"] for s in _spans(await self._get("/api/v3/traces", asked))}
        old = {"service": service, "tags": told, "lookback": "1h", "limit": str(TRACES_MAX)}
        return {each["traceID"] for each in (await self._get("/api/traces", old))["data"]}

    async def page(self) -> str:
        async with self._session.get(f"{self._url}/search") as response:
            assert response.status == 200
            return await response.text()

    async def _get(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        async with self._session.get(self._url + path, params=asked) as response:
            if response.status == 404:
                return {}
            assert response.status == 200, (path, response.status, await response.text())
            return json.loads(await response.text())  # some versions call it text


def tags_of(url: str) -> dict[str, str]:
    """The tags in a link of the page's menu."""
    (told,) = parse_qs(urlsplit(url).query)["tags"]
    return json.loads(told)


def _query(service: str) -> dict[str, str]:
    """Both spellings: the parameters' names changed in v2.15."""
    now = time.time()
    begin, end = _stamp(now - LOOK_BACK_SECONDS), _stamp(now + 60)
    return {
        "query.service_name": service,
        "query.serviceName": service,
        "query.start_time_min": begin,
        "query.startTimeMin": begin,
        "query.start_time_max": end,
        "query.startTimeMax": end,
        "query.num_traces": str(TRACES_MAX),
        "query.searchDepth": str(TRACES_MAX),
    }


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _spans(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for resource in answer.get("result", {}).get("resourceSpans", ()):
        told = _plain(resource["resource"].get("attributes", ()))
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                tags = _plain(span.get("attributes", ()))
                found.append({**span, "service": told.get("service.name"), "tags": tags})
    return found


def _plain(attributes: Any) -> dict[str, Any]:
    return {each["key"]: _value(each["value"]) for each in attributes}


def _value(told: Mapping[str, Any]) -> Any:
    ((kind, value),) = told.items()
    return int(value) if kind == "intValue" else value


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/api/v3/services") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
