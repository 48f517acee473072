"""Health in named parts: a service serves only while every part is well."""

import asyncio
import logging
from collections.abc import Iterable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

_log = logging.getLogger("chassis.health")

LIVENESS = "liveness"
READINESS = "readiness"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Part:
    """One thing a service needs, for instance its database. Starts failed."""

    def __init__(self, owner: "Health", name: str) -> None:
        self._owner = owner
        self.name = name
        self.state = "failed"
        self.why = "not started"

    def ok(self) -> None:
        """It is well."""
        self._set("ok", "")

    def degraded(self, why: str) -> None:
        """It is away, but the service can do without it: it goes on serving."""
        self._set("degraded", why)

    def failed(self, why: str) -> None:
        """The service cannot work without it."""
        self._set("failed", why)

    def _set(self, state: str, why: str) -> None:
        if (state, why) == (self.state, self.why):
            return
        self.state, self.why = state, why
        level = logging.INFO if state == "ok" else logging.WARNING
        _log.log(
            level, "health part changed", extra={"part": self.name, "state": state, "why": why}
        )
        self._owner.changed()


class Health:
    """The parts of one service, told to callers by grpc.health.v1.

    `liveness` is SERVING as long as the loop turns; ``""``, `readiness` and every full service
    name are SERVING while no part has failed and no drain has begun.
    """

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()
        self._parts: dict[str, Part] = {}
        self._names: list[str] = ["", READINESS]
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()

    def part(self, name: str) -> Part:
        """A new part, failed until it says otherwise."""
        if name in self._parts:
            raise ValueError(f"health part {name} exists")
        part = self._parts[name] = Part(self, name)
        return part

    def parts(self) -> dict[str, tuple[str, str]]:
        """Name -> (state, why) of every part."""
        return {name: (part.state, part.why) for name, part in self._parts.items()}

    @property
    def serving(self) -> bool:
        """True while calls are welcome."""
        return not self._draining and all(p.state != "failed" for p in self._parts.values())

    async def open(self, server: grpc.aio.Server, service_names: Iterable[str]) -> None:
        """Puts the health service on `server`."""
        self._names += list(service_names)
        health_pb2_grpc.add_HealthServicer_to_server(self.servicer, server)
        await self.servicer.set(LIVENESS, _SERVING)
        await self.publish()

    async def drain(self) -> None:
        """NOT_SERVING from now on, whatever the parts say."""
        self._draining = True
        await self.publish()

    def changed(self) -> None:
        """A part's state is another one: tell the watchers."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # before the loop runs, open() will publish
            return
        task = loop.create_task(self.publish())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def publish(self) -> None:
        """Sets every name's status to what is true now."""
        status = _SERVING if self.serving else _NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, status)
