"""The console on a socket, before a door with a few keys and a fleet that answers by heart."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.router.v1 import router_service_pb2 as router_pb

from chassis.deadline import Deadline
from gateway.console.traces import Traces
from gateway.door import Identity
from gateway.errors import ERRORS, KeyInvalid
from gateway.http.console import OWN_HEADER
from gateway.http.edge import Edge
from gateway.http.intake import EdgeLimits
from gateway.http.parts import ConsoleParts, make_console
from gateway.http.server import HttpServer
from tests.fakes.http_door import FakeDoor

KEYS = {
    "sg_admin": Identity(tenant="acme", key_id="root", admin=True),
    "sg_viewer": Identity(tenant="acme", key_id="eye", viewer=True),
    "sg_caller": Identity(tenant="acme", key_id="shop"),
}


@dataclass
class KeyedDoor(FakeDoor):
    """Knows the keys of `keys`."""

    keys: dict[str, Identity] = field(default_factory=lambda: dict(KEYS))

    async def authenticate(self, authorization: str | None) -> Identity:
        identity = self.keys.get((authorization or "").removeprefix("Bearer "))
        if identity is None:
            raise KeyInvalid
        return identity


@dataclass
class FakeFleet:
    """gateway.console.forwards.Fleet: the answers of `answers`, and what was asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    async def ask(self, service: str, method: str, request: Any, deadline: Deadline) -> Any:
        kept = type(request)()
        kept.CopyFrom(request)
        self.asked.append((service, method, kept))
        answer = self.answers.get(method) or _empty(method)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer


def _empty(method: str) -> Any:
    for package in (ledger_pb, router_pb, cache_pb):
        if hasattr(package, f"{method}Response"):
            return getattr(package, f"{method}Response")()
    raise AssertionError(method)


@dataclass
class Clock:
    """Seconds that pass when told."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


class ConsoleDesk:
    """A browser, as far as HTTP goes."""

    def __init__(self, address: str, door: KeyedDoor, fleet: FakeFleet, clock: Clock) -> None:
        self.url = f"http://{address}/console"
        self.door, self.fleet, self.clock = door, fleet, clock
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        own = {OWN_HEADER: "1", **headers}
        request = self.session.request(method, self.url + path, json=body, headers=own)
        async with request as response:
            return response.status, await response.json()

    async def sign_in(self, key: str) -> tuple[int, Any]:
        return await self.send("POST", "/api/session", {"key": key})

    async def rpc(self, name: str, body: Any) -> tuple[int, Any]:
        return await self.send("POST", f"/api/rpc/{name}", body)


@asynccontextmanager
async def console_of(
    make_traces: Callable[[aiohttp.ClientSession], Traces] | None = None,
) -> AsyncIterator[ConsoleDesk]:
    door, fleet, clock, limits = KeyedDoor(), FakeFleet(), Clock(), EdgeLimits()
    async with aiohttp.ClientSession() as outside:
        traces = make_traces(outside) if make_traces is not None else None
        parts = ConsoleParts(fleet, traces, seconds_max=3_600, idle_seconds_max=600, clock=clock)
        console = make_console(door, ERRORS, limits, parts, new_id=lambda: "1", now=time.time)
        server = HttpServer(Edge([console], ERRORS, limits, ready=lambda: True), limits)
        await server.start("127.0.0.1:0")
        desk = ConsoleDesk(server.address, door, fleet, clock)
        try:
            yield desk
        finally:
            await desk.session.close()
            await server.stop()
