"""The door to the trace store: OTLP/gRPC in for the fleet, JSON over HTTP out for the terminal."""

import dataclasses
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from aiohttp import web
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_rpc

from cli.embedded.trace_forward import Forward
from cli.embedded.trace_store import TraceStore

RECEIVE_BYTES_MAX = 16 * 1024 * 1024
WAIT_SECONDS_MAX = 10.0
TRACE_ID_CHARS = 32


@dataclass(frozen=True, slots=True)
class TraceDoors:
    """Where the store is: `otlp` as host:port for exporters, `url` for readers."""

    otlp: str
    url: str


class _Receiver(otlp_rpc.TraceServiceServicer):
    def __init__(self, store: TraceStore, forward: Forward | None) -> None:
        self._store = store
        self._forward = forward

    async def Export(  # noqa: N802  the protocol's name
        self, request: otlp.ExportTraceServiceRequest, context: Any
    ) -> otlp.ExportTraceServiceResponse:
        await self._store.add(request)
        if self._forward is not None:
            self._forward.take(request)
        return otlp.ExportTraceServiceResponse()


@asynccontextmanager
async def serving_traces(
    store: TraceStore, token: str, forward: Forward | None = None
) -> AsyncIterator[TraceDoors]:
    """Both doors on loopback, on free ports. Readers must show `token` as a bearer token. What
    comes in goes to `forward` too."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", RECEIVE_BYTES_MAX)])
    otlp_rpc.add_TraceServiceServicer_to_server(_Receiver(store, forward), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    runner = web.AppRunner(_app(store, token), access_log=None)
    try:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, http_port = runner.addresses[0][:2]
        yield TraceDoors(f"127.0.0.1:{port}", f"http://{host}:{http_port}")
    finally:
        await runner.cleanup()
        await server.stop(0)


def _app(store: TraceStore, token: str) -> web.Application:
    expected = f"Bearer {token}".encode()

    async def show(request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, expected):
            return web.json_response({"error": "the token is missing or wrong"}, status=401)
        asked = request.match_info["trace_id"]
        # A whole id is waited for: its spans may be on their way.
        trace_id = asked if len(asked) == TRACE_ID_CHARS else store.find(asked)
        if asked == "last":
            trace_id = store.last_id
        spans = await store.whole(trace_id, seconds_max=WAIT_SECONDS_MAX) if trace_id else []
        if not spans:
            return web.json_response({"error": "no such trace is kept"}, status=404)
        told = [dataclasses.asdict(span) for span in spans]
        return web.json_response({"trace_id": trace_id, "spans": told})

    app = web.Application()
    app.router.add_get("/traces/{trace_id}", show)
    return app
