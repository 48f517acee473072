"""The collector's policies, carried out by the very processor: Jaeger has it built in too."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
import yaml
from opentelemetry.trace import SpanKind

from chassis import names
from chassis.telemetry import mark_failed, set_up, trace_id_of
from tests.e2e.house import until
from tests.jaeger.server import BUILT, COMPONENT, Jaeger, built

COLLECTOR = COMPONENT.parent / "otel-collector" / "config.yaml"
PLAIN = 200
SECOND_NS = 10**9


def sampled(folder: Path) -> Path:
    """Jaeger as it is deployed, with the collector's own policies in front of its storage."""
    config = yaml.safe_load((COMPONENT / "config.yaml").read_text())
    policies = yaml.safe_load(COLLECTOR.read_text())["processors"]["tail_sampling"]
    config["processors"]["tail_sampling"] = {**policies, "decision_wait": "1s"}
    config["service"]["pipelines"]["traces"]["processors"].insert(1, "tail_sampling")
    path = folder / "sampled.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
async def jaeger(tmp_path):
    if not BUILT.exists():
        pytest.skip("no Jaeger: `make jaeger-check` builds one with Go")
    async with built(tmp_path, sampled(tmp_path)) as addresses, aiohttp.ClientSession() as session:
        yield Jaeger(session, addresses)


async def test_errors_and_what_is_slow_or_dear_is_kept_and_some_of_the_rest(jaeger):
    """Of the rest about one in ten: none would blind, all would cost."""
    telemetry = set_up("gateway", jaeger.otlp, root_ratio=1.0)
    wanted = set()

    def trace(cost_nanos, *, failed=False, seconds=0.0):
        root = telemetry.start("chat", "", attributes={names.COST_NANO_USD: cost_nanos})
        child = telemetry.child("chat m", root, SpanKind.CLIENT)
        child.end()
        if failed:
            mark_failed(root, "ProviderFailed")
        began = root.start_time
        root.end(end_time=began + int(seconds * SECOND_NS) if seconds else None)
        return trace_id_of(root)

    plain = {trace(1000) for _ in range(PLAIN)}
    wanted |= {trace(1000, failed=True), trace(100_000_000), trace(1000, seconds=6)}
    await asyncio.to_thread(telemetry.flush)

    async def kept():
        return {span["traceId"] for span in await jaeger.recent()}

    async def there():
        return wanted <= await kept()

    await until(there, 30)
    found = await kept() & plain
    assert 0 < len(found) < PLAIN / 2
    spans = [span for span in await jaeger.recent() if span["traceId"] in wanted]
    assert len(spans) == 2 * len(wanted)
