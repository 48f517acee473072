"""A collector that is away, slow or stuck costs spans, never a call and never a shutdown."""

import asyncio
import os
import re
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import grpc
import pytest
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis.metrics import SHUTDOWN_SECONDS_MAX
from chassis.telemetry import FLUSH_SECONDS_MAX, SPAN_QUEUE_MAX
from tests.fakes.otlp_sink import OtlpSink

ITEMS = 128
DROPPED = re.compile(
    r'^otel_sdk_processor_span_processed_total\{.*error_type="queue_full".* (\S+)$', re.M
)


class Traced:
    """A tokenizer whose every item is traced, and what it says of itself."""

    def __init__(self, process, stub, metrics):
        self.process = process
        self._stub = stub
        self._metrics = metrics
        self._items = 0
        self.lines = []

    async def work(self, calls):
        """`calls` times ITEMS traced items; every one is answered."""
        for _ in range(calls):
            items = []
            for _ in range(ITEMS):
                self._items += 1
                parent = f"00-{self._items:032x}-{1:016x}-01"
                items.append(pb.CountItem(model="gpt-4o", text="a", traceparent=parent))
            response = await self._stub.Count(pb.CountRequest(items=items))
            assert all(each.WhichOneof("outcome") == "count" for each in response.results)

    async def dropped(self):
        async with aiohttp.ClientSession() as session, session.get(self._metrics) as response:
            return sum(float(each) for each in DROPPED.findall(await response.text()))


@asynccontextmanager
async def traced_tokenizer(sink):
    environ = {name: value for name, value in os.environ.items() if "SPENDGATE" not in name}
    told = {
        "SPENDGATE_LISTEN": "127.0.0.1:0",
        "SPENDGATE_METRICS_LISTEN": "127.0.0.1:0",
        "SPENDGATE_OTLP_ENDPOINT": sink.endpoint,
        "SPENDGATE_LOG_LEVEL": "info",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.tokenizer"),
        env={**environ, **told},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**24,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(process.wait)
        stack.callback(lambda: process.returncode is None and process.kill())
        found = {}
        while len(found) < 2:
            line = (await process.stdout.readline()).decode()
            assert line, "the process ended"
            for message in ("serving", "metrics"):
                if f'"message": "{message}"' in line:
                    found[message] = re.search(r'"address": "([^"]+)"', line)[1]
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(found["serving"]))
        stub = pb_grpc.TokenizerServiceStub(channel)
        traced = Traced(process, stub, f"http://{found['metrics']}/metrics")
        reader = asyncio.create_task(_read(process, traced.lines))
        stack.callback(reader.cancel)
        yield traced


async def _read(process, lines):
    """Or the pipe would fill."""
    while line := await process.stdout.readline():
        lines.append(line.decode())


async def ask_until(true):
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.05)


async def broken(sink, how):
    if how == "dead":
        await sink.stop()
    else:
        sink.answers.clear()


async def healed(sink, how):
    if how == "dead":
        await sink.start()
    else:
        sink.answers.set()


@pytest.mark.parametrize("how", ["dead", "hung"])
async def test_spans_are_dropped_and_counted_and_flow_again_and_hold_up_no_shutdown(how):
    """Every call is answered while nobody takes the spans; what is lost shows in a metric; once the
    collector is there again so are new spans; stuck again, it does not keep the service."""
    assert FLUSH_SECONDS_MAX + SHUTDOWN_SECONDS_MAX < 5
    async with OtlpSink() as sink, traced_tokenizer(sink) as traced:
        await traced.work(1)
        await ask_until(lambda: len(sink.spans) >= ITEMS)
        await broken(sink, how)
        await traced.work(2 * SPAN_QUEUE_MAX // ITEMS)
        assert await traced.dropped() > 0
        await healed(sink, how)
        before = len(sink.spans)
        while len(sink.spans) <= before:
            await traced.work(1)
            await asyncio.sleep(0.05)
        await broken(sink, how)
        # More than one export can take: who waits for all of them waits for long.
        await traced.work(16)
        traced.process.terminate()
        assert await traced.process.wait() == 0
        await ask_until(lambda: any("still waiting" in line for line in traced.lines))
        sink.answers.set()


async def test_a_slow_collector_gets_all_that_it_can_take():
    """Its slowness is its own: calls are answered meanwhile, and nothing is lost."""
    async with OtlpSink() as sink, traced_tokenizer(sink) as traced:
        sink.slow_seconds = 0.1
        await traced.work(10)
        await ask_until(lambda: len(sink.spans) >= 10 * ITEMS)
        assert await traced.dropped() == 0
