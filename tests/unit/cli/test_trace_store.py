"""The last traces, in memory."""

import asyncio

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.common.v1 import common_pb2

from cli.embedded.trace_store import TraceStore


def sent(
    trace: int, span: int, *, parent: int = 0, service: str = "cache", text: str = ""
) -> otlp.ExportTraceServiceRequest:
    """What a service sends for one span."""
    request = otlp.ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    name = common_pb2.KeyValue(key="service.name")
    name.value.string_value = service
    resource.resource.attributes.append(name)
    made = resource.scope_spans.add().spans.add(name=f"span {span}")
    made.trace_id = trace.to_bytes(16, "big")
    made.span_id = span.to_bytes(8, "big")
    made.parent_span_id = parent.to_bytes(8, "big") if parent else b""
    made.start_time_unix_nano, made.end_time_unix_nano = span, span + 10
    for key, value in (("spendgate.cost.nano_usd", 7), ("flag", True), ("text", text)):
        attribute = made.attributes.add(key=key)
        if isinstance(value, bool):
            attribute.value.bool_value = value
        elif isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value
    return request


def trace_id(number: int) -> str:
    return f"{number:032x}"


async def test_spans_of_several_services_make_one_trace() -> None:
    """Spans come back by start time, with service, parent, times and typed attributes."""
    store = TraceStore()
    await store.add(sent(1, 3, parent=2, service="ledger"))
    await store.add(sent(1, 2, service="gateway", text="x"))
    first, second = store.trace(trace_id(1))
    assert (first.service, first.parent_id, first.start_ns, first.end_ns) == ("gateway", "", 2, 12)
    assert second.parent_id == first.span_id
    assert first.attributes == {"spendgate.cost.nano_usd": 7, "flag": True, "text": "x"}


async def test_the_oldest_traces_go_first() -> None:
    """Beyond the number kept, the trace that was silent longest is dropped."""
    store = TraceStore(traces_max=2)
    for number in (1, 2, 1, 3):
        await store.add(sent(number, 9))
    assert store.trace(trace_id(2)) == []
    assert len(store.trace(trace_id(1))) == 2
    assert len(store) == 2


async def test_memory_is_bounded_in_bytes() -> None:
    """However large spans are, what is kept stays under the limit."""
    store = TraceStore(bytes_max=10_000)
    for number in range(1, 30):
        await store.add(sent(number, 1, text="x" * 1_000))
    assert 1 <= len(store) <= 10
    assert store.trace(trace_id(29))


async def test_one_trace_cannot_grow_for_ever() -> None:
    """A trace keeps its first thousand spans."""
    store = TraceStore()
    for span in range(1, 1_102):
        await store.add(sent(1, span))
    assert len(store.trace(trace_id(1))) == 1_000


async def test_the_last_trace_is_one_with_a_root() -> None:
    """A late span of a trace without its root is nobody's last request."""
    store = TraceStore()
    assert store.last_id is None
    await store.add(sent(1, 5))
    await store.add(sent(2, 6, parent=99))
    assert store.last_id == trace_id(1)


async def test_a_beginning_names_a_trace() -> None:
    """A few digits are enough; capitals do not matter; what is not there is None."""
    store = TraceStore()
    await store.add(sent(0xABCDEF << 104, 1))
    assert store.find("ABCDEF") == trace_id(0xABCDEF << 104)
    assert store.find("123456") is None


async def test_a_trace_is_waited_for_until_it_is_whole() -> None:
    """Who asks early gets the spans that come meanwhile."""
    store = TraceStore()
    waiting = asyncio.create_task(store.whole(trace_id(1)))
    await asyncio.sleep(0)
    await store.add(sent(1, 1))
    await asyncio.sleep(0)
    await store.add(sent(1, 2, parent=1))
    assert len(await waiting) == 2


async def test_who_waits_in_vain_gets_nothing() -> None:
    """A trace that never comes is an empty one, after the time that was given."""
    assert await TraceStore().whole(trace_id(1), seconds_max=0.05) == []
