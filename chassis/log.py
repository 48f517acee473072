"""JSON lines on standard error: ids, counts and enums, never prompts or keys."""

import json
import logging
import sys
import time
from typing import TextIO

from chassis.calls import current_trace_id

_PLAIN = set(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, service, logger, message, the extra fields, and the
    trace that the task works in.

    The text of an exception is left out, for it may quote what a caller sent; its type stays.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, value) for name, value in vars(record).items() if name not in _PLAIN)
        if "trace_id" not in line and (trace_id := current_trace_id()):
            line["trace_id"] = trace_id
        if record.exc_info and record.exc_info[0] is not None:
            line["error_type"] = record.exc_info[0].__name__
        return json.dumps(line, default=str, ensure_ascii=False)


def set_up(service: str, level: str, stream: TextIO = sys.stderr) -> None:
    """Sends every logger of this process to `stream` as JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # It warns once an attribute that is cut; a long model name would flood the log.
    logging.getLogger("opentelemetry.attributes").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
