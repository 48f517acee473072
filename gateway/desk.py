"""Budgets, keys and books at the gateway's door: an admin's calls, handed on to the ledger.

The gateway answers these methods of LedgerService itself, for keys with the admin role (those that
only read: with the viewer role too) and for their own tenant only. What moves money or looks at all
tenants is not among them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from chassis.calls import current_call
from chassis.deadline import Deadline
from chassis.errors import FieldViolation, InvalidFields, RemoteError
from gateway.audit import Audit
from gateway.door import Identity
from gateway.errors import ERRORS, AdminRequired, KeyInvalid, from_service

SERVICE_NAME = "spendgate.ledger.v1.LedgerService"

# Method -> where its request names the tenant.
FORWARDED: dict[str, tuple[str, ...]] = {
    "CreateBudget": ("scope", "tenant"),
    "GetBudget": ("tenant",),
    "ListBudgets": ("tenant",),
    "UpdateBudget": ("budget", "scope", "tenant"),
    "DeleteBudget": ("tenant",),
    "CreateKey": ("tenant",),
    "ListKeys": ("tenant",),
    "UpdateKey": ("key", "tenant"),
    "RotateKey": ("tenant",),
    "DisableKey": ("tenant",),
    "Report": ("tenant",),
    "ListEntries": ("tenant",),
}
# What a key with the viewer role may ask too.
READS = frozenset({"GetBudget", "ListBudgets", "ListKeys", "Report", "ListEntries"})


class Ledger(Protocol):
    """Where the calls go."""

    async def ask_ledger(self, method: str, request: Any, deadline: Deadline) -> Any:
        """The answer of a method of LedgerService. Raises what chassis.channel.Link.call raises."""
        ...


class Desk:
    """Hands calls on."""

    def __init__(self, ledger: Ledger, audit: Audit) -> None:
        self._ledger = ledger
        self._audit = audit

    async def forward(self, method: str, request: Any, caller: object, deadline: Deadline) -> Any:
        """The ledger's answer; a request that names no tenant is the caller's own.

        Raises: KeyInvalid; AdminRequired; InvalidFields for another tenant; the ledger's
        refusals, which keep its domain; ServiceUnavailable.
        """
        if not isinstance(caller, Identity):
            raise KeyInvalid
        outcome = "INTERNAL"
        try:
            answer = await self._forwarded(method, request, caller, deadline)
            outcome = "OK"
            return answer
        except Exception as error:
            outcome = RemoteError(ERRORS.to_status(error)).reason
            raise
        finally:
            self._audit.did(
                f"ledger.{method}",
                outcome,
                tenant=caller.tenant,
                caller=caller.key_id,
                target=_target(request),
            )

    async def _forwarded(
        self, method: str, request: Any, caller: Identity, deadline: Deadline
    ) -> Any:
        if not (caller.admin or (caller.viewer and method in READS)):
            raise AdminRequired
        own_tenant(request, FORWARDED[method], caller)
        try:
            return await self._ledger.ask_ledger(method, request, deadline)
        except RemoteError as error:
            if error.reason:
                raise
            raise from_service("ledger", error) from None


def own_tenant(request: Any, path: tuple[str, ...], caller: Identity) -> None:
    """Puts the caller's tenant where `path` says. Raises: InvalidFields for another one."""
    *parents, field = path
    place = request
    for name in parents:
        place = getattr(place, name)
    if getattr(place, field) not in ("", caller.tenant):
        violation = FieldViolation(".".join(path), "is not the tenant of this key")
        raise InvalidFields("REQUEST_INVALID", violation)
    setattr(place, field, caller.tenant)


def _target(request: Any) -> str:
    """The id of what is asked for, where the request has one."""
    for place in (request, getattr(request, "budget", None), getattr(request, "key", None)):
        for name in ("budget_id", "key_id"):
            value = getattr(place, name, "")
            if value and isinstance(value, str):
                return value
    return ""


def add_to_server(desk: Desk, server: Any) -> None:
    """Registers the forwarded methods, and only those: the others are unimplemented here."""
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            _handler(desk, method),
            request_deserializer=getattr(pb, f"{method}Request").FromString,
            response_serializer=getattr(pb, f"{method}Response").SerializeToString,
        )
        for method in FORWARDED
    }
    generic = grpc.method_handlers_generic_handler(SERVICE_NAME, handlers)
    server.add_generic_rpc_handlers((generic,))


def _handler(desk: Desk, method: str) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(request: Any, _: Any) -> Any:
        call = current_call()
        return await desk.forward(method, request, call.caller, call.deadline)

    return handle
