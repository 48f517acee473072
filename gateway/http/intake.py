"""What every part of the HTTP door does alike: who calls, the body, whole responses.

A part speaks one protocol. It raises Refusal for what the wire itself refuses and lets everything
else through: the guard in edge.py tells it in the words of the part that the path belongs to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import orjson
from aiohttp import web
from google.rpc import status_pb2

from chassis.deadline import Deadline
from gateway.door import Door, Identity
from gateway.http.headers import only, timeout_seconds
from gateway.openai.errors import HttpError
from gateway.openai.read import NotJson

# Where callers of Anthropic's API give their key.
KEY_HEADER = "x-api-key"
# Above this a body is read beside the loop: it takes about a millisecond.
_OFF_LOOP_BYTES = 32 * 2**10

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """Bounds of the HTTP edge."""

    # A request with its answer. The door may allow less.
    request_seconds_max: float = 600.0
    body_bytes_max: int = 4 * 2**20
    # For a caller to send its whole body.
    body_seconds_max: float = 30.0
    # For a caller to take what is written to it.
    write_seconds_max: float = 30.0
    # For a caller to send a whole head, and between two requests of a connection.
    idle_seconds_max: float = 75.0
    connections_max: int = 4_096


class ErrorWords(Protocol):
    """How a protocol tells errors."""

    def plain(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> HttpError:
        """An error of the wire itself, which no status of the fleet stands for."""
        ...

    def of_status(self, status: status_pb2.Status, request: web.Request) -> HttpError:
        """A status of the fleet."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """A path that a part answers."""

    method: str
    path: str
    handler: Handler


class Part(Protocol):
    """A protocol at the HTTP door."""

    @property
    def words(self) -> ErrorWords:
        """How errors on its paths are told."""
        ...

    def routes(self) -> Sequence[Route]:
        """Its paths."""
        ...


class Refusal(Exception):
    """A request that the wire itself refuses. The arguments are those of ErrorWords.plain."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(str(status))
        self.status = status
        self.message = message
        self.code = code
        self.param = param


class Intake:
    """Takes requests in."""

    def __init__(self, door: Door, limits: EdgeLimits) -> None:
        self.door = door
        self.limits = limits

    def deadline(self, request: web.Request | None = None) -> Deadline:
        """When a request that comes in now must have its answer: as its x-spendgate-timeout-seconds
        says, within the edge's limit. Raises: InvalidFields."""
        deadline = Deadline.after(self.limits.request_seconds_max)
        seconds = timeout_seconds(request.headers) if request is not None else None
        return deadline if seconds is None else deadline.sooner(seconds)

    async def identify(self, request: web.Request, key_header: str = "") -> Identity:
        """The caller behind the `Authorization` header, or behind a key in `key_header`.

        Raises: errors.KeyInvalid.
        """
        told = only(request.headers, "authorization")
        if not told and key_header and (key := only(request.headers, key_header)):
            told = f"Bearer {key}"
        return await self.door.authenticate(told or None)

    async def read(self, request: web.Request, parse: Callable[[bytes], _Read]) -> _Read:
        """What `parse` makes of the body, which is only read once its sender is known.

        Raises: Refusal, also where `parse` raises NotJson; what else it raises.
        """
        body = await self.body(request)
        try:
            if len(body) > _OFF_LOOP_BYTES:
                return await asyncio.to_thread(parse, body)
            return parse(body)
        except NotJson:
            raise Refusal(400, "the body is not JSON in UTF-8", code="bad_json") from None

    async def body(self, request: web.Request) -> bytes:
        """The whole body. Raises: Refusal."""
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Refusal(415, "the body must not be packed", code="packed_body")
        bytes_max = self.limits.body_bytes_max
        try:
            if (request.content_length or 0) > bytes_max:
                raise web.HTTPRequestEntityTooLarge(bytes_max)
            async with asyncio.timeout(self.limits.body_seconds_max):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"the body takes at most {bytes_max} bytes"
            raise Refusal(413, message, code="request_too_large") from None
        except TimeoutError:
            message = f"the body did not arrive within {self.limits.body_seconds_max:g} s"
            raise Refusal(408, message, code="body_timeout") from None
        except web.PayloadAccessError:
            raise Refusal(400, "the body broke off", code="body_cut") from None


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """`body` as JSON."""
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        headers=headers,
        content_type="application/json",
    )
