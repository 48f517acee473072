"""The call under way, for whoever works on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import grpc
from opentelemetry.trace import INVALID_SPAN, Span

from chassis.deadline import Deadline
from chassis.telemetry import Telemetry, trace_id_of


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
_traced: ContextVar[Span] = ContextVar("spendgate_traced", default=INVALID_SPAN)


def current_call() -> Call:
    """The RPC that this task works on. Raises LookupError outside of one."""
    return _current.get()


def trace_current_call(span: Span) -> None:
    """Tells the RPC under way, if there is one, which span is its own: its log line names it, and
    so do all lines that this task and those it starts write from here on."""
    _traced.set(span)
    call = _current.get(None)
    if call is not None:
        call.span = span


def no_longer_traced() -> None:
    """The work that was traced is done; the task may go on with another's."""
    _traced.set(INVALID_SPAN)


def current_trace_id() -> str:
    """32 hex digits of the trace that this task works in, "" for none."""
    return trace_id_of(_traced.get())


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Within the block `call` is the one this task works on; after it, the one before."""
    token, traced = _current.set(call), _traced.set(_traced.get())
    try:
        yield
    finally:
        _current.reset(token)
        _traced.reset(traced)


def set_current_call(call: Call) -> None:
    """Makes `call` the one this task works on."""
    _current.set(call)
