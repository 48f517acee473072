"""A server on loopback that speaks Anthropic's Messages API, scripted by the model's name.

The shapes are those of Anthropic's reference. A script is the model's name up to the first ":";
a name that is no script answers happily. Tokens are words.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.fakes.anthropic_scripts import ERRORS, answer_of, events_of


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    headers: dict[str, str]
    body: dict[str, Any]
    query: str = ""


@dataclass
class AnthropicUpstream:
    """The server. What it saw can be read at any time."""

    seen: list[Seen] = field(default_factory=list)
    hung_up: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """To be configured as the provider's base_url."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/messages", self._messages)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits until something that this server saw makes `true` so."""
        async with self._news:
            await self._news.wait_for(true)

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.seen.append(Seen(dict(request.headers), body, request.query_string))
        script = body["model"].partition(":")[0]
        if script in ERRORS:
            status, kind, message, headers = ERRORS[script]
            error = {"type": "error", "error": {"type": kind, "message": message}}
            return web.json_response(error, status=status, headers=headers)
        try:
            if script == "hang":
                await asyncio.sleep(3600)
            if not body.get("stream"):
                return web.json_response(answer_of(script, body))
            return await self._stream(request, script, body)
        except (asyncio.CancelledError, ConnectionError):
            async with self._news:
                self.hung_up[body["model"]] += 1
                self._news.notify_all()
            raise

    async def _stream(
        self, request: web.Request, script: str, body: dict[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for event in _paced(events_of(script, body)):
            if event == "reset":
                request.transport.abort()  # type: ignore[union-attr]  # it is connected
                return response
            if event == "hang":
                await asyncio.sleep(3600)
            name = event["type"]
            content = f"event: {name}\ndata: {json.dumps(event)}\n\n".encode()
            # Cut where no event ends.
            await response.write(content[:7])
            await response.write(content[7:])
        await response.write_eof()
        return response


async def _paced(events: Any) -> AsyncIterator[Any]:
    for event in events:
        yield event
        await asyncio.sleep(0)
