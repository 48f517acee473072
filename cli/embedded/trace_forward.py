"""Hands spans on to a receiver of the operator's, such as a Jaeger, besides keeping them here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_rpc

SEND_SECONDS_MAX = 5.0
LAST_SECONDS_MAX = 2.0
WAITING_MAX = 256


class Forward:
    """Takes requests without waiting; the oldest is dropped when the receiver is too slow."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[otlp.ExportTraceServiceRequest] = asyncio.Queue(WAITING_MAX)

    def take(self, request: otlp.ExportTraceServiceRequest) -> None:
        """Sends it soon, or never when the receiver is away: a trace is not worth a request."""
        if self._waiting.full():
            self._waiting.get_nowait()
            self._waiting.task_done()
        self._waiting.put_nowait(request)

    async def run(self, stub: Any) -> None:
        """Sends what was taken until it is cancelled."""
        while True:
            request = await self._waiting.get()
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Export(request, timeout=SEND_SECONDS_MAX)
            self._waiting.task_done()

    async def sent(self) -> None:
        """Waits until all that was taken has been tried."""
        await self._waiting.join()


@asynccontextmanager
async def forwarding(endpoint: str) -> AsyncIterator[Forward | None]:
    """Forwards to `endpoint` (host:port, OTLP/gRPC in plaintext) in the block; None for ""."""
    if not endpoint:
        yield None
        return
    forward = Forward()
    async with grpc.aio.insecure_channel(endpoint) as channel:
        task = asyncio.create_task(forward.run(otlp_rpc.TraceServiceStub(channel)))
        try:
            yield forward
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(forward.sent(), LAST_SECONDS_MAX)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
