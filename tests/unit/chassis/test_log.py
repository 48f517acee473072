"""What a log line holds."""

import io
import json
import logging

from chassis.log import JsonLines


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
