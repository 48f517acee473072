from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from spendgate.router.v1 import router_service_pb2_grpc as rpc

from chassis.server import running
from services.router.settings import RouterSettings
from services.router.wiring import build

Serve = Callable[[str], Awaitable[rpc.RouterServiceStub]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts a router on a fleet file's text, gives a client of its socket."""
    async with AsyncExitStack() as stack:

        async def start(text: str) -> rpc.RouterServiceStub:
            path = tmp_path / "fleet.yaml"
            path.write_text(text)
            settings = RouterSettings(config=path)
            server = await stack.enter_async_context(running("router", settings, build))
            channel = grpc.aio.insecure_channel(server.address)
            return rpc.RouterServiceStub(await stack.enter_async_context(channel))

        yield start
