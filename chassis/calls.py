"""The call under way, for whoever works on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import grpc
from opentelemetry.trace import INVALID_SPAN, Span

from chassis.deadline import Deadline
from chassis.telemetry import Telemetry


@dataclass(slots=True)
class Call:
    """One RPC on its way through the layers."""

    method: str
    context: grpc.aio.ServicerContext
    metadata: dict[str, str]
    telemetry: Telemetry
    deadline: Deadline
    caller: object = None
    span: Span = INVALID_SPAN
    item_count: int = 1

    @property
    def traceparent(self) -> str:
        """The caller's W3C traceparent, "" when it sent none."""
        return self.metadata.get("traceparent", "")


_current: ContextVar[Call] = ContextVar("spendgate_call")


def current_call() -> Call:
    """The RPC that this task works on. Raises LookupError outside of one."""
    return _current.get()


def trace_current_call(span: Span) -> None:
    """Tells the RPC under way, if there is one, which span is its own: its log line names it."""
    call = _current.get(None)
    if call is not None:
        call.span = span


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Within the block `call` is the one this task works on; after it, the one before."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


def set_current_call(call: Call) -> None:
    """Makes `call` the one this task works on."""
    _current.set(call)
