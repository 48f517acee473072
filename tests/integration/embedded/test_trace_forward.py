"""Spans are kept for the terminal and, where the operator has a receiver, handed on to it."""

import asyncio

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_rpc

from cli.embedded.trace_forward import WAITING_MAX, forwarding
from cli.embedded.trace_server import serving_traces
from cli.embedded.trace_store import TraceStore
from tests.fakes.otlp_sink import OtlpSink


def spans(number):
    request = otlp.ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name=f"span {number}")
    span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
    return request


async def export(doors, requests):
    async with grpc.aio.insecure_channel(doors.otlp) as channel:
        stub = otlp_rpc.TraceServiceStub(channel)
        for request in requests:
            await stub.Export(request)


async def test_what_comes_in_is_kept_and_handed_on():
    """`spendgate trace` and a Jaeger show the same request."""
    store = TraceStore()
    async with OtlpSink() as sink:
        async with (
            forwarding(sink.endpoint) as forward,
            serving_traces(store, "token", forward) as doors,
        ):
            await export(doors, [spans(1), spans(2)])
        assert [span.name for span in sink.spans] == ["span 1", "span 2"]
    assert store.last_id == f"{2:032x}"


async def test_a_receiver_that_hangs_holds_up_nobody():
    """What it cannot take in time is dropped, the oldest first; the terminal has it all."""
    store = TraceStore()
    async with OtlpSink() as sink, forwarding(sink.endpoint) as forward:
        async with serving_traces(store, "token", forward) as doors:
            sink.answers.clear()
            await export(doors, [spans(n) for n in range(1, WAITING_MAX + 20)])
            sink.answers.set()
            async with asyncio.timeout(30):
                await forward.sent()
        kept = [span.name for span in sink.spans]
    assert kept[-1] == f"span {WAITING_MAX + 19}"
    assert len(kept) <= WAITING_MAX + 1
    assert store.last_id == f"{WAITING_MAX + 19:032x}"


async def test_without_a_receiver_nothing_is_handed_on():
    """As `spendgate up` starts by itself."""
    async with forwarding("") as forward:
        assert forward is None
