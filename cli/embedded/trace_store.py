"""The last traces, in memory: what the fleet's own OTLP receiver keeps."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from cli.trace_tree import TraceSpan, Value

TRACES_MAX = 2_000
SPANS_A_TRACE_MAX = 1_000
BYTES_MAX = 64 * 1024 * 1024

# A service sends its spans every half second; after this long without news a trace is whole.
QUIET_SECONDS = 1.2


class TraceStore:
    """Keeps whole traces and drops the oldest ones first, by number and by bytes."""

    def __init__(self, *, traces_max: int = TRACES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._traces_max = traces_max
        self._bytes_max = bytes_max
        self._traces: OrderedDict[str, list[TraceSpan]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._news = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._traces)

    @property
    def last_id(self) -> str | None:
        """The trace whose root was seen last; None when there is none."""
        for trace_id in reversed(self._traces):
            if any(not span.parent_id for span in self._traces[trace_id]):
                return trace_id
        return None

    def trace(self, trace_id: str) -> list[TraceSpan]:
        """The spans of a trace, 32 hex digits, by start time; empty when it is not known."""
        return sorted(self._traces.get(trace_id.lower(), []), key=lambda span: span.start_ns)

    def find(self, beginning: str) -> str | None:
        """The id that begins so, the newest if there are several; None when there is none."""
        found = (known for known in reversed(self._traces) if known.startswith(beginning.lower()))
        return next(found, None)

    async def whole(self, trace_id: str, *, seconds_max: float = 10.0) -> list[TraceSpan]:
        """The trace once no more spans come, at the latest after `seconds_max`."""
        try:
            async with asyncio.timeout(seconds_max):
                while await self._grew(trace_id):
                    pass
        except TimeoutError:
            pass
        return self.trace(trace_id)

    async def add(self, request: otlp.ExportTraceServiceRequest) -> None:
        """Keeps what a service sent."""
        for resource_spans in request.resource_spans:
            service = _service(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    self._keep(span.trace_id.hex(), _span(service, span), span.ByteSize())
        self._shrink()
        async with self._news:
            self._news.notify_all()

    async def _grew(self, trace_id: str) -> bool:
        """Waits for more of a trace: False after a while without, once there is something."""
        before = len(self._traces.get(trace_id, []))
        try:
            async with asyncio.timeout(QUIET_SECONDS), self._news:
                await self._news.wait_for(lambda: len(self._traces.get(trace_id, [])) != before)
        except TimeoutError:
            return before == 0
        return True

    def _keep(self, trace_id: str, span: TraceSpan, size: int) -> None:
        spans = self._traces.setdefault(trace_id, [])
        if len(spans) >= SPANS_A_TRACE_MAX:
            return
        spans.append(span)
        self._sizes[trace_id] = self._sizes.get(trace_id, 0) + size
        self._bytes += size
        self._traces.move_to_end(trace_id)

    def _shrink(self) -> None:
        while len(self._traces) > self._traces_max or self._bytes > self._bytes_max:
            trace_id, _ = self._traces.popitem(last=False)
            self._bytes -= self._sizes.pop(trace_id)


def _service(attributes: Iterable[common_pb2.KeyValue]) -> str:
    for attribute in attributes:
        if attribute.key == "service.name":
            return str(attribute.value.string_value)
    return ""


def _span(service: str, span: trace_pb2.Span) -> TraceSpan:
    return TraceSpan(
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        service=service,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes={item.key: _value(item.value) for item in span.attributes},
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
    )


def _value(value: common_pb2.AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind in ("string_value", "int_value", "double_value", "bool_value"):
        found: Value = getattr(value, kind)
        return found
    if kind == "array_value":
        return ", ".join(str(_value(item)) for item in value.array_value.values)
    return ""
