"""A webhook's receiver on loopback that does as it is told."""

import asyncio
from typing import Any

from aiohttp import web


class Webhook:
    """Keeps what it was sent. `script` says how each post is answered: a status, "hang" or "drop";
    when it has run out, 200."""

    def __init__(self, *script: int | str) -> None:
        self.script = list(script)
        # How many followed a redirect.
        self.stray_count = 0
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> "Webhook":
        app = web.Application()
        app.router.add_post("/hook", self._take)
        app.router.add_route("*", "/elsewhere", self._stray)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # started
        self.url = f"http://127.0.0.1:{port}/hook"
        return self

    async def __aexit__(self, *_: Any) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.posts.append((dict(request.headers), await request.read()))
        answer = self.script.pop(0) if self.script else 200
        if answer == "hang":
            await asyncio.sleep(30)
        if answer == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        headers = {"Location": "/elsewhere"} if answer in (302, 307) else None
        return web.Response(status=int(answer), headers=headers)

    async def _stray(self, request: web.Request) -> web.Response:
        self.stray_count += 1
        return web.Response()
