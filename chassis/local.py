"""Calls between services that live in one process: handed over as objects, no wire between.

A service that runs registers what it answers; a link whose target is LOCAL finds it there. What a
call is told, its deadline, its trace and the table that makes statuses of errors are the same as
over a wire; the token is not asked for, and no line is logged, for nobody came in from outside.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import grpc
from google.rpc import status_pb2

from chassis.auth import FleetMember
from chassis.calls import Call, calling
from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import ErrorTable, RemoteError
from chassis.telemetry import Telemetry

# A target for chassis.channel.Link.
LOCAL: Final = "local:"

_Behaviour = Callable[[Any, Any], Any]


class LocalService:
    """What a service of this process answers, by full method name."""

    def __init__(self, methods: Mapping[str, _Behaviour], errors: ErrorTable, telemetry: Telemetry):
        self._methods = methods
        self._errors = errors
        self._telemetry = telemetry

    def method(self, name: str) -> _Behaviour | None:
        """The servicer's own method."""
        return self._methods.get(name)

    def call(self, name: str, metadata: Mapping[str, str], deadline: Deadline) -> Call:
        """What a servicer sees of a call."""
        return Call(
            name, _NO_CONTEXT, dict(metadata), self._telemetry, deadline, caller=FleetMember()
        )

    def status_of(self, error: Exception) -> status_pb2.Status:
        """An error as its caller sees it."""
        return self._errors.to_status(error)


class _NoContext:
    """Stands for the wire's context: servicers are told by chassis.calls instead."""


_NO_CONTEXT: Any = _NoContext()
_services: dict[str, LocalService] = {}


def register(names: Sequence[str], service: LocalService) -> Callable[[], None]:
    """Makes the service known in this process by its full names. Returns what undoes it."""
    for name in names:
        _services[name] = service

    def forget() -> None:
        for name in names:
            with suppress(KeyError):
                if _services[name] is service:
                    del _services[name]

    return forget


class LocalChannel:
    """Stands where generated stubs expect a channel."""

    def __init__(self, service_name: str) -> None:
        self._service_name = service_name

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """The method at `path`, as a generated stub asks for it."""

        async def call(
            request: Any,
            *,
            timeout: float,  # noqa: ASYNC109  # a generated method's own parameter
            metadata: tuple[tuple[str, str], ...] = (),
            wait_for_ready: bool = False,
        ) -> Any:
            service, behaviour = self._find(path)
            deadline = Deadline.after(timeout)
            with calling(service.call(path, dict(metadata), deadline)):
                try:
                    async with asyncio.timeout(timeout):
                        return await behaviour(request, _NO_CONTEXT)
                except TimeoutError:
                    raise RemoteError(service.status_of(DeadlinePassed())) from None
                except Exception as error:
                    raise RemoteError(service.status_of(error)) from None

        return call

    def unary_stream(self, path: str, *_: Any, **__: Any) -> Callable[..., "_LocalStream"]:
        """The same for a method that answers with a stream."""

        def call(
            request: Any,
            *,
            timeout: float,
            metadata: tuple[tuple[str, str], ...] = (),
        ) -> _LocalStream:
            service, behaviour = self._find(path)
            told = service.call(path, dict(metadata), Deadline.after(timeout))
            return _LocalStream(service, told, behaviour(request, _NO_CONTEXT))

        return call

    async def close(self) -> None:
        """Nothing is open."""

    def _find(self, path: str) -> tuple[LocalService, _Behaviour]:
        service = _services.get(self._service_name)
        behaviour = service.method(path) if service is not None else None
        if service is None or behaviour is None:
            code = grpc.StatusCode.UNAVAILABLE.value[0]
            raise RemoteError(status_pb2.Status(code=code, message="not running in this process"))
        return service, behaviour


class _LocalStream:
    """A stream under way."""

    def __init__(self, service: LocalService, call: Call, responses: AsyncIterator[Any]) -> None:
        self._service = service
        self._call = call
        self._responses = responses

    def __aiter__(self) -> "_LocalStream":
        return self

    async def __anext__(self) -> Any:
        with calling(self._call):
            try:
                return await anext(self._responses)
            except StopAsyncIteration:
                raise
            except Exception as error:
                raise RemoteError(self._service.status_of(error)) from None

    def cancel(self) -> None:
        """The generator ends when nobody holds it any more."""
