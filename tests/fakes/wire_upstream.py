"""A server on loopback that answers as a test scripts it, in whatever wire format.

`plays` are taken in order, the last again and again. A play is a JSON body, a list of events (sent
as server-sent events; a pair is (event name, data)), or a Failure.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Failure:
    """A response without an answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """One request as it came. `path` holds the query too."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class WireUpstream:
    plays: list[Any] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(Seen(request.path_qs, dict(request.headers), body))
        play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        if callable(play):
            play = play(body)
        if isinstance(play, Failure):
            return web.json_response(play.body, status=play.status, headers=play.headers)
        if isinstance(play, list):
            return await _stream(request, play)
        return web.json_response(play)


async def _stream(request: web.Request, events: Sequence[Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        name, data = event if isinstance(event, tuple) else ("", event)
        head = f"event: {name}\n" if name else ""
        text = data if isinstance(data, str) else json.dumps(data)
        await response.write(f"{head}data: {text}\n\n".encode())
    await response.write_eof()
    return response
