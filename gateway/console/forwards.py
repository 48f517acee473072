"""The console's questions as JSON, handed on to the fleet's own RPCs for the session's tenant."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.ledger.v1 import reading_service_pb2 as reading_pb
from spendgate.router.v1 import router_service_pb2 as router_pb

from chassis.deadline import Deadline
from chassis.errors import FieldViolation, InvalidFields, RemoteError
from gateway.desk import own_tenant
from gateway.door import Identity
from gateway.errors import AdminRequired, from_service

# Above this a message becomes JSON beside the loop: it takes about a millisecond.
OFF_LOOP_BYTES = 4 * 2**10
QUICK_SECONDS_MAX = 10.0
# Anatomy and opportunities read many rows.
SLOW_SECONDS_MAX = 60.0

MessageT = TypeVar("MessageT", bound=Message)

LEDGER, READING, ROUTER, CACHE = "ledger", "reading", "router", "cache"


class Fleet(Protocol):
    """The services behind the gateway."""

    async def ask(self, service: str, method: str, request: Any, deadline: Deadline) -> Any:
        """The answer of a method of one of the services named above.

        Raises what chassis.channel.Link.call raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class Forward:
    """One RPC: where it is, where its request names the tenant, who may call it."""

    service: str
    method: str
    request: type[Message]
    tenant: tuple[str, ...] = ("tenant",)
    admin: bool = False
    seconds_max: float = QUICK_SECONDS_MAX


def _table(
    service: str,
    package: Any,
    *methods: str,
    tenant: tuple[str, ...] = ("tenant",),
    admin: bool = False,
    seconds_max: float = QUICK_SECONDS_MAX,
) -> dict[str, Forward]:
    return {
        f"{service}/{method}": Forward(
            service, method, getattr(package, f"{method}Request"), tenant, admin, seconds_max
        )
        for method in methods
    }


_BUDGET, _SCOPE = ("budget", "scope", "tenant"), ("scope", "tenant")
FORWARDS: dict[str, Forward] = {
    **_table(LEDGER, ledger_pb, "GetBudget", "ListBudgets", "ListKeys"),
    **_table(LEDGER, ledger_pb, "CreateBudget", tenant=_SCOPE, admin=True),
    **_table(LEDGER, ledger_pb, "UpdateBudget", tenant=_BUDGET, admin=True),
    **_table(LEDGER, ledger_pb, "UpdateKey", tenant=("key", "tenant"), admin=True),
    **_table(LEDGER, ledger_pb, "DeleteBudget", "CreateKey", "RotateKey", "DisableKey", admin=True),
    **_table(READING, reading_pb, "Breakdown", "ListAlerts"),
    **_table(READING, reading_pb, "Anatomy", "Opportunities", seconds_max=SLOW_SECONDS_MAX),
    **_table(ROUTER, router_pb, "ListModels", tenant=()),
    **_table(ROUTER, router_pb, "Explain", tenant=("item", "tenant")),
    **_table(ROUTER, router_pb, "Summary", "ListProposals"),
    **_table(ROUTER, router_pb, "ApplyProposal", admin=True),
    **_table(CACHE, cache_pb, "Stats"),
    **_table(CACHE, cache_pb, "ReportWrongHit", "Invalidate", tenant=_SCOPE, admin=True),
}


class Forwarder:
    """Hands questions on."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def forward(self, name: str, body: Any, caller: Identity) -> Any:
        """The answer to the RPC `name`, both as proto3 JSON with the contract's field names.

        Raises: KeyError for an unknown name; AdminRequired; InvalidFields; what ask() raises.
        """
        known = FORWARDS[name]
        if known.admin and not caller.admin:
            raise AdminRequired
        request = from_json(body, known.request())
        if known.tenant:
            own_tenant(request, known.tenant, caller)
        return await to_json(await self.ask(known, request))

    async def try_prompt(self, body: Any, caller: Identity) -> Any:
        """What the cache would do for a prompt: nothing is counted, no answer is shown."""
        item = from_json(body, cache_pb.LookupItem())
        own_tenant(item, _SCOPE, caller)
        item.dry_run, item.explain, item.vector_wanted, item.lease_ms = True, True, False, 0
        known = Forward(CACHE, "Lookup", cache_pb.LookupRequest)
        response = await self.ask(known, cache_pb.LookupRequest(items=[item]))
        result = response.results[0]
        if result.HasField("error"):
            raise from_service(CACHE, RemoteError(result.error))
        result.finding.answer.ClearField("choices")
        result.finding.ClearField("semantic")
        return await to_json(result.finding)

    async def ask(self, known: Forward, request: Message) -> Any:
        """The message that answers. Raises: RemoteError with a reason; ServiceUnavailable."""
        try:
            return await self._fleet.ask(
                known.service, known.method, request, Deadline.after(known.seconds_max)
            )
        except RemoteError as error:
            if error.reason:
                raise
            service = LEDGER if known.service == READING else known.service
            raise from_service(service, error) from None


def from_json(body: Any, message: MessageT) -> MessageT:
    """The message in `body`. Raises: InvalidFields."""
    try:
        if not isinstance(body, dict):
            raise json_format.ParseError("")
        json_format.ParseDict(body, message)
    except (json_format.ParseError, TypeError, ValueError, RecursionError):
        # The library's text may quote what was sent.
        told = f"is no {message.DESCRIPTOR.name} in JSON"
        raise InvalidFields("REQUEST_INVALID", FieldViolation("body", told)) from None
    return message


async def to_json(message: Message) -> Any:
    """Proto3 JSON with the contract's field names; 64-bit numbers are decimal text."""
    if message.ByteSize() > OFF_LOOP_BYTES:
        return await asyncio.to_thread(as_dict, message)
    return as_dict(message)


def as_dict(message: Message) -> dict[str, Any]:
    """As to_json(), at once."""
    told: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return told
