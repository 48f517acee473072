"""What a log line holds."""

import io
import json
import logging

from opentelemetry.trace import NonRecordingSpan

from chassis.calls import no_longer_traced, trace_current_call
from chassis.log import JsonLines
from chassis.telemetry import parse_traceparent


def test_a_line_is_one_json_object_with_its_extra_fields():
    """Lines can be read by machines."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines("spendgate-test"))
    logger = logging.getLogger("test.lines")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError("a prompt")
    except ValueError:
        logger.exception("it failed", extra={"count": 3})
    line = json.loads(out.getvalue())
    assert (line["service"], line["message"], line["count"], line["level"]) == (
        "spendgate-test",
        "it failed",
        3,
        "error",
    )
    assert line["error_type"] == "ValueError"
    assert "a prompt" not in out.getvalue()


def test_a_line_names_the_trace_that_its_task_works_in():
    """From a line to the request it belongs to, and back; nobody has to hand the id around."""
    record = logging.LogRecord("test", logging.INFO, "", 0, "it went on", None, None)
    span = NonRecordingSpan(parse_traceparent("00-" + "a" * 32 + "-" + "b" * 16 + "-01"))
    lines = JsonLines("spendgate-test")
    trace_current_call(span)
    assert json.loads(lines.format(record))["trace_id"] == "a" * 32
    no_longer_traced()
    assert "trace_id" not in json.loads(lines.format(record))
