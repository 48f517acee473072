"""An OTLP/gRPC receiver in the test's own process, which can be made slow, stuck or away."""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc


@dataclass(frozen=True)
class SinkSpan:
    """A span as it came over the wire."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    attributes: dict[str, Any]


class OtlpSink(otlp_grpc.TraceServiceServicer):
    """Keeps every span it gets."""

    def __init__(self) -> None:
        self.spans: list[SinkSpan] = []
        self.raw: list[bytes] = []
        self.endpoint = ""
        # Exports wait for this; cleared, the sink hangs.
        self.answers = asyncio.Event()
        self.answers.set()
        self.slow_seconds = 0.0
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self):
        """Listens; after a stop on the same port as before."""
        self._server = grpc.aio.server()
        otlp_grpc.add_TraceServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(self.endpoint or "127.0.0.1:0")
        self.endpoint = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self):
        """Nobody listens any more."""
        await self._server.stop(None)

    async def Export(self, request, context):
        await self.answers.wait()
        await asyncio.sleep(self.slow_seconds)
        self.raw.append(request.SerializeToString())
        for resource in request.resource_spans:
            service = _plain(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        SinkSpan(
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.name,
                            service,
                            _plain(span.attributes),
                        )
                    )
        return otlp.ExportTraceServiceResponse()

    def of(self, trace_id: str) -> list[SinkSpan]:
        """The spans of one trace, so far."""
        return [span for span in self.spans if span.trace_id == trace_id]


def _plain(attributes) -> dict[str, Any]:
    found = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        found[attribute.key] = getattr(attribute.value, kind) if kind else None
    return found
