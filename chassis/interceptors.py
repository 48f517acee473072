"""What every RPC passes on its way in: the layers, outermost first.

A handler is wrapped in all of them when its servicer is registered; LAYERS is their order, and a
test holds it.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status
from opentelemetry import metrics
from opentelemetry.trace import SpanKind

from chassis import names
from chassis.auth import Authenticate
from chassis.calls import Call, set_current_call, trace_current_call
from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import ErrorTable, StatusError, message_invalid
from chassis.errors import code_of as status_code_of
from chassis.telemetry import Telemetry, context_of, mark_failed, trace_id_of

_rpc_log = logging.getLogger("chassis.rpc")
_duration = metrics.get_meter("spendgate").create_histogram(
    names.RPC_SERVER_DURATION,
    unit="s",
    description="Time a call took on the server.",
    explicit_bucket_boundaries_advisory=names.DURATION_BOUNDARIES_SECONDS,
)


@dataclass(frozen=True)
class LayerSettings:
    """What the layers need to know of their room."""

    service: str
    errors: ErrorTable
    authenticate: Authenticate
    telemetry: Telemetry
    deadline_seconds_default: float
    # Methods whose handler opens its own span under the caller's.
    own_span_methods: frozenset[str] = field(default_factory=frozenset)


Layer = Callable[[Call, LayerSettings], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def errors_layer(call: Call, room: LayerSettings) -> AsyncIterator[None]:
    """Outermost: no exception leaves but as a status made by the room's table."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        status = room.errors.to_status(error)
        await call.context.abort_with_status(rpc_status.to_status(status))


@asynccontextmanager
async def trace_layer(call: Call, room: LayerSettings) -> AsyncIterator[None]:
    """A server span where the caller traces; the duration metric always."""
    parent = call.traceparent
    own = call.method in room.own_span_methods
    begin = time.perf_counter()
    outcome = "OK"
    if parent and not own:
        call.span = room.telemetry.start(
            call.method.lstrip("/"),
            parent,
            SpanKind.SERVER,
            {names.RPC_SYSTEM_NAME: "grpc", names.RPC_METHOD: call.method.lstrip("/")},
        )
        trace_current_call(call.span)
    try:
        yield
    except StatusError as error:
        outcome = status_code_of(error.status).name
        mark_failed(call.span, outcome)
        raise
    except BaseException:
        outcome = "CANCELLED"
        mark_failed(call.span, outcome)
        raise
    finally:
        if not own:
            call.span.set_attribute(names.RPC_STATUS_CODE, outcome)
            call.span.end()
        _duration.record(
            time.perf_counter() - begin,
            {names.RPC_METHOD: call.method.lstrip("/"), names.RPC_STATUS_CODE: outcome},
            context=context_of(call.span),
        )


@asynccontextmanager
async def log_layer(call: Call, room: LayerSettings) -> AsyncIterator[None]:
    """One canonical line a call, whatever became of it. Turns errors into statuses on the way."""
    begin = time.perf_counter()
    code, reason = "OK", ""
    try:
        yield
    except Exception as error:
        status = room.errors.to_status(error)
        code, reason = status_code_of(status).name, type(error).__name__
        raise StatusError(status) from error
    except BaseException:
        code = "CANCELLED"
        raise
    finally:
        if _rpc_log.isEnabledFor(logging.INFO):
            line = {
                "method": call.method,
                "code": code,
                "duration_ms": round((time.perf_counter() - begin) * 1000, 3),
                "items": call.item_count,
            }
            if reason:
                line["error"] = reason
            if trace_id := trace_id_of(call.span):
                line["trace_id"] = trace_id
            _rpc_log.info("rpc", extra=line)


@asynccontextmanager
async def deadline_layer(call: Call, room: LayerSettings) -> AsyncIterator[None]:
    """Every call has a deadline: the caller's, else the room's default."""
    left = call.context.time_remaining()
    if left is None:
        left = room.deadline_seconds_default
    call.deadline = Deadline.after(left)
    if left <= 0:
        raise DeadlinePassed
    yield


@asynccontextmanager
async def auth_layer(call: Call, room: LayerSettings) -> AsyncIterator[None]:
    """Innermost: nobody works for a caller who has not shown who he is."""
    call.caller = await room.authenticate(call.metadata.get("authorization"))
    yield


LAYERS: Final[tuple[Layer, ...]] = (
    errors_layer,  # first, so that no other layer's failure can leak its text
    trace_layer,  # around the log line, so that the line carries the trace id
    log_layer,  # around deadline and auth, so that their refusals are logged too
    deadline_layer,  # before auth, which may ask another service and needs a limit
    auth_layer,
)


class _BadWire:
    """Stands for a request that is not valid protobuf."""


class Layered:
    """Takes a servicer's handlers for `server`, each wrapped in LAYERS once.

    It stands where generated add_XServicer_to_server functions expect a server. grpc.aio's own
    interceptors would look every handler up anew for each call, and cost a tenth of a small one.
    """

    def __init__(self, server: grpc.aio.Server, room: LayerSettings) -> None:
        self._server = server
        self._room = room
        # The servicers' own methods by full name, for callers in the same process.
        self.methods: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Registers the handlers, wrapped."""
        self._server.add_generic_rpc_handlers(
            tuple(_LayeredHandler(handler, self._room) for handler in handlers)
        )

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """The same handlers once more, by name: they are not for the wire, which has layers."""
        for name, handler in handlers.items():
            self.methods[f"/{service}/{name}"] = handler.unary_unary or handler.unary_stream


class _LayeredHandler(grpc.ServiceRpcHandler):
    def __init__(self, inner: Any, room: LayerSettings) -> None:
        self._inner = inner
        self._room = room
        self._wrapped: dict[str, Any] = {}

    def service_name(self) -> str:
        name: str = self._inner.service_name()
        return name

    def service(self, handler_call_details: Any) -> Any:
        """The wrapped handler of a method; what is unknown stays unknown."""
        method: str = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = self._inner.service(handler_call_details)
            if handler is None:
                return None
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Any) -> Any:
        decode = _decoder(handler.request_deserializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary), decode, handler.response_serializer
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream), decode, handler.response_serializer
            )
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(
                self._collecting(method, handler.stream_unary), decode, handler.response_serializer
            )
        raise NotImplementedError(f"{method}: streams both ways have no layers")

    def _call(self, method: str, context: Any) -> Call:
        metadata = _metadata(context)
        call = Call(method, context, metadata, self._room.telemetry, Deadline.after(0))
        set_current_call(call)
        return call

    def _unary(self, method: str, behaviour: Any) -> Any:
        async def handle(request: Any, context: Any) -> Any:
            call = self._call(method, context)
            async with AsyncExitStack() as stack:
                for layer in LAYERS:
                    await stack.enter_async_context(layer(call, self._room))
                return await behaviour(_checked(request), context)

        return handle

    def _collecting(self, method: str, behaviour: Any) -> Any:
        async def handle(requests: AsyncIterator[Any], context: Any) -> Any:
            call = self._call(method, context)
            async with AsyncExitStack() as stack:
                for layer in LAYERS:
                    await stack.enter_async_context(layer(call, self._room))
                return await behaviour(_all_checked(requests), context)

        return handle

    def _stream(self, method: str, behaviour: Any) -> Any:
        async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
            call = self._call(method, context)
            async with AsyncExitStack() as stack:
                for layer in LAYERS:
                    await stack.enter_async_context(layer(call, self._room))
                async for response in behaviour(_checked(request), context):
                    yield response

        return handle


def _decoder(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """grpc would answer a failing decoder with the exception's text."""

    def decode(wire: bytes) -> Any:
        try:
            return deserialize(wire)
        except DecodeError:
            return _BadWire()

    return decode


def _checked(request: Any) -> Any:
    if isinstance(request, _BadWire):
        raise message_invalid()
    return request


def _metadata(context: Any) -> dict[str, str]:
    """The caller's, by name. A credential that came twice is none: two readers may believe
    different ones."""
    pairs = context.invocation_metadata() or ()
    metadata = {key: value for key, value in pairs if isinstance(value, str)}
    if sum(key == "authorization" for key, _ in pairs) > 1:
        metadata.pop("authorization", None)
    return metadata


async def _all_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)
