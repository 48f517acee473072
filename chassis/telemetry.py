"""Spans: made here, batched, sent by OTLP, never in a request's way.

One Telemetry a service, handed around, not global: several services can live in one process.
"""

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from chassis import names

_log = logging.getLogger("chassis.telemetry")
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_ZERO = frozenset("0")

EXPORT_SECONDS_MAX = 2
# With what metrics may take (chassis/metrics.py) under 5 s: a dead receiver keeps no pod longer.
FLUSH_SECONDS_MAX = 2.5
ATTRIBUTE_CHARS_MAX = 256
SPAN_QUEUE_MAX = 8192
EXPORT_DELAY_MS = 500

Value = str | int | float | bool


def parse_traceparent(text: str) -> SpanContext | None:
    """The remote parent in a W3C traceparent, or None when there is none to trust."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None or set(match[1]) == _ZERO or set(match[2]) == _ZERO:
        return None
    return SpanContext(
        int(match[1], 16), int(match[2], 16), True, TraceFlags(int(match[3], 16) & 1)
    )


def traceparent_of(span: Span) -> str:
    """The W3C traceparent that makes `span` the parent; "" for an invalid span."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def trace_id_of(span: Span) -> str:
    """32 hex digits, or "" for an invalid span."""
    context = span.get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def context_of(span: Span) -> Context:
    """What a metric is recorded in to name `span`'s trace as its example (an exemplar)."""
    return set_span_in_context(span)


@dataclass(frozen=True)
class Telemetry:
    """Makes a service's spans."""

    tracer: trace.Tracer
    provider: TracerProvider | None = None

    def start(
        self,
        name: str,
        parent: str,
        kind: SpanKind = SpanKind.SERVER,
        attributes: Mapping[str, Value] | None = None,
    ) -> Span:
        """A span under the traceparent `parent`; the caller ends it.

        Without a parent it is a root, sampled as the settings say. Under a parent that is not
        sampled nothing is made but the context to hand on.
        """
        remote = parse_traceparent(parent) if parent else None
        if remote is not None and not remote.trace_flags.sampled:
            return NonRecordingSpan(remote)
        context = set_span_in_context(NonRecordingSpan(remote) if remote else INVALID_SPAN)
        return self.tracer.start_span(name, context=context, kind=kind, attributes=attributes)

    def child(
        self,
        name: str,
        parent: Span,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Value] | None = None,
    ) -> Span:
        """A span under `parent` in the same process; the caller ends it."""
        if not parent.is_recording():
            return NonRecordingSpan(parent.get_span_context())
        return self.tracer.start_span(
            name, context=set_span_in_context(parent), kind=kind, attributes=attributes
        )

    def flush(self) -> None:
        """Sends what waits and stops, within FLUSH_SECONDS_MAX whatever the receiver does."""
        if self.provider is None:
            return
        # shutdown() waits for a dead receiver longer than any pod has; the thread is left behind.
        worker = threading.Thread(target=self.provider.shutdown, daemon=True)
        worker.start()
        worker.join(FLUSH_SECONDS_MAX)
        if worker.is_alive():
            _log.warning("spans were still waiting when the service stopped")


@contextmanager
def ending(span: Span) -> Iterator[Span]:
    """Ends `span` on the way out; an exception marks it, by its type only."""
    try:
        yield span
    except BaseException as error:
        mark_failed(span, type(error).__name__)
        raise
    finally:
        span.end()


def mark_failed(span: Span, kind: str) -> None:
    """Sets error status and error.type; `kind` is a type or reason, never a message."""
    if span.is_recording():
        span.set_attribute(names.ERROR_TYPE, kind)
        span.set_status(Status(StatusCode.ERROR))


def set_up(
    service: str,
    endpoint: str | None,
    *,
    root_ratio: float | None,
    exporter: SpanExporter | None = None,
) -> Telemetry:
    """A service's Telemetry. `root_ratio` None: it starts no traces, it only goes on with them."""
    if endpoint is None and exporter is None:
        return Telemetry(trace.NoOpTracer())
    root: Sampler = ALWAYS_OFF if root_ratio is None else TraceIdRatioBased(root_ratio)
    provider = TracerProvider(
        sampler=ParentBased(root),
        resource=Resource.create({"service.name": f"spendgate-{service}"}),
        span_limits=SpanLimits(max_span_attribute_length=ATTRIBUTE_CHARS_MAX),
        shutdown_on_exit=False,
    )
    if exporter is None:
        # Loaded for who wants it only: every start would wait for it.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, timeout=EXPORT_SECONDS_MAX)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=SPAN_QUEUE_MAX, schedule_delay_millis=EXPORT_DELAY_MS
        )
    )
    return Telemetry(provider.get_tracer("spendgate"), provider)
