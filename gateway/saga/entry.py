"""A request at the door: checked, let in when it is its turn, its root span open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from spendgate.gateway.v1 import gateway_service_pb2 as pb

from catalog.fleet import Fleet
from catalog.prices import UnknownModel
from catalog.schema import is_automatic
from chassis.calls import trace_current_call
from chassis.deadline import Deadline
from chassis.errors import RemoteError, StatusError
from chassis.telemetry import Telemetry, mark_failed
from gateway.door import Identity
from gateway.errors import ModelNotAllowed, ServiceUnavailable
from gateway.overload.admission import Admission, Place
from gateway.privacy.guard import work_for
from gateway.saga import tally
from gateway.saga.ask import Ask, edge_traceparent, open_ask
from gateway.saga.books import Books
from gateway.settings import GatewaySettings
from gateway.validate import check_request
from gateway.validate_embed import check_task

# What is asked for, in OpenTelemetry's words.
CHAT, EMBEDDINGS = "chat", "embeddings"

AnyRequest = pb.CompleteRequest | pb.StreamCompleteRequest


class Entry:
    """Lets requests in."""

    def __init__(
        self,
        settings: GatewaySettings,
        fleet: Fleet,
        books: Books,
        admission: Admission,
        *,
        telemetry: Telemetry,
        new_id: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._books = books
        self._admission = admission
        self._telemetry = telemetry
        self._new_id = new_id

    def check(self, request: AnyRequest, identity: Identity, operation: str = CHAT) -> None:
        """Raises: ServiceUnavailable; InvalidFields; ModelNotAllowed."""
        if not self._books.has_room(self._admission.under_way + 1):
            # Nothing is spent that could not be booked.
            raise ServiceUnavailable("ledger")
        self.check_words(request, identity)
        check_task(self._fleet, request.model, embeds=operation == EMBEDDINGS)

    def check_words(self, request: AnyRequest, identity: Identity) -> None:
        """As for a request that costs nothing. Raises: InvalidFields; ModelNotAllowed."""
        check_request(request, self._settings.prompt_bytes_max)
        self._check_allowed(identity, request.model)

    @asynccontextmanager
    async def admitted(
        self,
        request: AnyRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
        operation: str = CHAT,
    ) -> AsyncIterator[Ask]:
        """A request that may come in: checked, with a place to work in, its root span open."""
        self.check(request, identity, operation)
        async with (
            self._admission.admitted(identity.tenant, deadline) as place,
            self.opened(
                request, identity, traceparent, deadline, place, operation=operation
            ) as ask,
        ):
            yield ask

    @asynccontextmanager
    async def opened(
        self,
        request: AnyRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
        place: Place,
        *,
        operation: str = CHAT,
    ) -> AsyncIterator[Ask]:
        """Its root span is open while the block runs."""
        ask = open_ask(
            request,
            identity,
            traceparent=edge_traceparent(
                traceparent, self._settings.trace_ratio, self._settings.trust_incoming_traces
            ),
            deadline=deadline.sooner(self._fleet.config.timeouts.request_seconds),
            telemetry=self._telemetry,
            cache=self._fleet.config.cache,
            prompts=self._fleet.config.prompts,
            new_id=self._new_id,
            place=place,
            operation=operation,
        )
        work_for(identity.tenant)
        trace_current_call(ask.span)
        tally.came_in()
        try:
            yield ask
        except BaseException as error:
            kind = _kind_of(error)
            mark_failed(ask.span, kind)
            tally.failed(ask, kind)
            raise
        finally:
            tally.went_out()
            ask.end()

    def _check_allowed(self, identity: Identity, model: str) -> None:
        """Raises: ModelNotAllowed. For "auto" the router keeps to what is allowed."""
        if identity.viewer:
            raise ModelNotAllowed(model)
        try:
            name = self._fleet.book.name_of(model) if not is_automatic(model) else ""
        except UnknownModel:
            return  # The router says so, with the nearest name.
        if name and not identity.may_call(name):
            raise ModelNotAllowed(model)


def _kind_of(error: BaseException) -> str:
    """A word for spans and metrics: the reason the caller is told, never a text."""
    if isinstance(error, GeneratorExit | asyncio.CancelledError):
        return "CALLER_GONE"
    if isinstance(error, StatusError):
        return RemoteError(error.status).reason or str(error)
    return type(error).__name__
