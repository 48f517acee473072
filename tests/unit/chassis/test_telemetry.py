"""Traces handed on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from chassis.telemetry import ending, parse_traceparent, set_up, traceparent_of

PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def exported():
    exporter = InMemorySpanExporter()
    telemetry = set_up("test", None, root_ratio=1.0, exporter=exporter)
    yield telemetry, exporter
    telemetry.flush()


def test_a_span_goes_on_with_its_callers_trace(exported):
    """One request is one trace, over all processes."""
    telemetry, exporter = exported
    span = telemetry.start("work", PARENT)
    child = telemetry.child("part", span, SpanKind.CLIENT)
    child.end()
    span.end()
    telemetry.provider.force_flush()
    part, work = exporter.get_finished_spans()
    assert format(work.context.trace_id, "032x") == "a" * 32
    assert format(work.parent.span_id, "016x") == "b" * 16
    assert part.parent.span_id == work.context.span_id


def test_an_unsampled_parent_makes_no_span_but_is_handed_on(exported):
    """The gateway's decision holds for everyone behind it."""
    telemetry, exporter = exported
    unsampled = PARENT[:-2] + "00"
    span = telemetry.start("work", unsampled)
    assert traceparent_of(span) == unsampled
    span.end()
    telemetry.provider.force_flush()
    assert exporter.get_finished_spans() == ()


def test_a_room_that_starts_no_traces_records_nothing_without_a_parent():
    """Probes and housekeeping calls inside the fleet are no traces of their own."""
    exporter = InMemorySpanExporter()
    telemetry = set_up("test", None, root_ratio=None, exporter=exporter)
    telemetry.start("work", "").end()
    telemetry.flush()
    assert exporter.get_finished_spans() == ()


def test_a_failing_block_marks_its_span_by_type_only(exported):
    """The text of an exception may hold a prompt."""
    telemetry, exporter = exported
    with pytest.raises(ValueError, match="a prompt"), ending(telemetry.start("work", PARENT)):
        raise ValueError("a prompt")
    telemetry.provider.force_flush()
    span = exporter.get_finished_spans()[0]
    assert span.attributes == {"error.type": "ValueError"}
    assert span.events == ()
    assert span.status.description is None


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    """A caller's header can hold anything."""
    context = parse_traceparent(text)
    assert context is None or context.is_valid


@pytest.mark.parametrize(
    "text",
    ["", "00-" + "0" * 32 + "-" + "b" * 16 + "-01", PARENT + "-x", PARENT.upper(), "01" + PARENT],
)
def test_what_is_no_traceparent_is_no_parent(text):
    """Zero ids and other forms are not trusted."""
    assert parse_traceparent(text) is None
