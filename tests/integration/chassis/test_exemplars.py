"""A point of a histogram names a trace: from a slow bucket to the request that fell into it."""

import asyncio
import os
import subprocess
import sys

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as otlp
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as otlp_grpc

# One answered request, told to the metrics as the door does, then the end of the process.
PROGRAM = """
import sys
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2
from chassis import metrics, telemetry
kept = metrics.set_up("test", "off", sys.argv[1])
spans = telemetry.set_up("test", None, root_ratio=1.0, exporter=InMemorySpanExporter())
from gateway.saga import tally
from gateway.saga.ask import Ask
from gateway.saga.summary import Cost, Outcome
for ratio in (1, 0):
    ask = Ask.__new__(Ask)
    ask.attribution = entry_pb2.Attribution(tenant="acme", feature="faq")
    ask.span = spans.start("chat", "" if ratio else "00-" + "a" * 32 + "-" + "b" * 16 + "-00")
    ask.started, ask.first_token_ms, ask.streams = 0.0, 3, True
    usage, cost = pb.Summary().usage, Cost(cost_nanos=7)
    outcome = Outcome(pb.ANSWER_SOURCE_PROVIDER, "m", "p", usage, 1, cost)
    tally.answered(ask, outcome)
    if ratio:
        print(telemetry.trace_id_of(ask.span), flush=True)
kept.stop()
"""


class MetricsSink(otlp_grpc.MetricsServiceServicer):
    """Keeps every metric it gets."""

    def __init__(self):
        self.metrics = []

    async def Export(self, request, context):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics += scope.metrics
        return otlp.ExportMetricsServiceResponse()


async def test_metrics_over_otlp_carry_the_traces_they_came_from():
    """Of sampled requests only: a trace that nobody keeps is no example."""
    sink, server = MetricsSink(), grpc.aio.server()
    otlp_grpc.add_MetricsServiceServicer_to_server(sink, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, f"127.0.0.1:{port}"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    told, _ = await process.communicate()
    await server.stop(None)
    trace_id = told.decode().strip()
    assert len(trace_id) == 32
    named = {}
    for metric in sink.metrics:
        points = getattr(metric, metric.WhichOneof("data")).data_points
        exemplars = [each for point in points for each in getattr(point, "exemplars", ())]
        named[metric.name] = {each.trace_id.hex() for each in exemplars}
    for name in ("request.duration", "request.time_to_first_token", "cost.nano_usd"):
        assert named[f"spendgate.{name}"] == {trace_id}
