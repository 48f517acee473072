"""A server on loopback that speaks OpenAI's chat completions, scripted by the model's name.

The text is made of the prompt alone, so that an answer from a cache can be told from a new one
by `calls`. Tokens are words. A script is the model's name up to the first ":", so
`fail-429:one` and `fail-429:two` count apart; a name that is no script answers happily.

In a test: `async with OpenAIUpstream() as upstream: upstream.base_url`. As a process:
`python -m tests.fakes.openai_upstream --port 0`, which prints one JSON line with its base_url,
is read by GET /control/seen and changed by POST /control/script {"model": ..., "script": ...}.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.fakes.openai_batches import BatchDesk
from tests.fakes.openai_scripts import SCRIPTS, Turn, embeddings, happy


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    model: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class OpenAIUpstream:
    """The server. What it saw can be read at any time."""

    host: str = "127.0.0.1"
    port: int = 0
    # model -> the script to play instead of the one its name says.
    script: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    # Callers that hung up before their answer was whole.
    hung_up: Counter[str] = field(default_factory=Counter)
    connections: set[int] = field(default_factory=set)
    # How long it thinks before every answer.
    delay_seconds: float = 0.0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _runner: web.AppRunner | None = None

    def __post_init__(self) -> None:
        self.batch_desk = BatchDesk(lambda name: self.calls.update([name]))

    @property
    def base_url(self) -> str:
        """To be configured as the provider's base_url."""
        return f"http://{self.host}:{self.port}/v1"

    async def start(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/elsewhere", self._chat)
        self.batch_desk.routes(app)
        app.router.add_get("/control/seen", self._control_seen)
        app.router.add_post("/control/script", self._control_script)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits until something that this server saw makes `true` so."""
        async with self._news:
            await self._news.wait_for(true)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = body["model"]
        self.seen.append(Seen(model, dict(request.headers), body))
        self.calls[model] += 1
        peer = request.transport.get_extra_info("peername") if request.transport else None
        self.connections.add(peer[1] if peer else 0)
        await self._tell()
        script = self.script.get(model, model).partition(":")[0]
        play = SCRIPTS.get(script, happy)
        try:
            await asyncio.sleep(self.delay_seconds)
            return await play(Turn(request, body, self.calls[model], script))
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up[model] += 1
            await self._tell()
            raise

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        model = body["model"]
        self.seen.append(Seen(model, dict(request.headers), body))
        self.calls[model] += 1
        await self._tell()
        script = self.script.get(model, model).partition(":")[0]
        play = SCRIPTS.get(script, embeddings)
        return await play(Turn(request, body, self.calls[model], script))

    async def _control_seen(self, _: web.Request) -> web.Response:
        seen = [{"model": one.model, "body": one.body} for one in self.seen]
        return web.json_response({"calls": self.calls, "hung_up": self.hung_up, "requests": seen})

    async def _control_script(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        self.script[wanted["model"]] = wanted["script"]
        return web.json_response({})


async def _serve(port: int) -> None:
    async with OpenAIUpstream(port=port) as upstream:
        sys.stdout.write(json.dumps({"base_url": upstream.base_url}) + "\n")
        sys.stdout.flush()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a fake of OpenAI's API on loopback")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(parser.parse_args().port))
