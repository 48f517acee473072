"""The HTTP edge on a socket, before a fake door."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from gateway.errors import ERRORS
from gateway.http.intake import EdgeLimits
from gateway.http.parts import make_edge
from gateway.http.server import HttpServer
from tests.fakes.http_door import KEY, FakeDoor

CHAT = "/v1/chat/completions"
BODY = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
AUTH = {"Authorization": f"Bearer {KEY}"}
LIMITS = EdgeLimits(body_bytes_max=10_000)


@dataclass
class House:
    door: FakeDoor
    server: HttpServer
    ready: bool = True

    def url(self, path: str) -> str:
        return f"http://{self.server.address}{path}"

    async def raw(self, content: bytes) -> tuple[int, dict[str, str], bytes]:
        """Sends bytes as they are; the response's status, headers and body."""
        host, _, port = self.server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(content)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        writer.close()
        return int(lines[0].split()[1]), headers, body

    async def post(self, body: Any = None, **options: Any) -> tuple[int, Any]:
        headers = {**AUTH, **options.pop("headers", {})}
        url = self.url(options.pop("path", CHAT))
        if body is not None:
            options["data" if isinstance(body, bytes) else "json"] = body
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, headers=headers, **options) as response,
        ):
            return response.status, await response.json()


@asynccontextmanager
async def house_of(limits: EdgeLimits, **door: Any) -> AsyncIterator[House]:
    behind = FakeDoor(**door)
    house = House(behind, None)  # type: ignore[arg-type]  # set below
    edge = make_edge(
        behind,
        ERRORS,
        limits,
        ready=lambda: house.ready,
        new_id=lambda: "stream-1",
        now=time.time,
    )
    house.server = HttpServer(edge, limits)
    await house.server.start("127.0.0.1:0")
    yield house
    await house.server.stop()


AUTH_LINE = f"Authorization: Bearer {KEY}".encode()


def request_bytes(*headers: bytes, body: bytes = json.dumps(BODY).encode()) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body
