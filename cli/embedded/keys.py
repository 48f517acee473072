"""The keys of an embedded fleet: one for its owner, one for commands on this machine."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spendgate.ledger.v1 import key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from chassis.channel import Link
from chassis.deadline import Deadline

if TYPE_CHECKING:
    from cli.embedded.supervisor import Fleet

TENANT = "default"
ADMIN_KEY_ID = "admin"
CALL_SECONDS_MAX = 15.0
SERVICE = "spendgate.ledger.v1.LedgerService"


@dataclass(frozen=True, slots=True)
class FirstKeys:
    """`admin` is the owner's secret, "" when it was minted before; `local` is for commands."""

    admin: str
    local: str


async def first_keys(fleet: "Fleet") -> FirstKeys:
    """Mint what is missing. The owner's secret is kept nowhere; the local one in the folder.

    Raises RemoteError with the ledger's status.
    """
    admin = await mint_key(fleet, ADMIN_KEY_ID, role=key_pb2.KEY_ROLE_ADMIN)
    local = fleet.folder.local_key()
    if not local:
        local = await mint_key(fleet, f"local-{uuid.uuid4().hex[:8]}")
        fleet.folder.keep_local_key(local)
    return FirstKeys(admin, local)


async def mint_key(
    fleet: "Fleet",
    key_id: str,
    *,
    tenant: str = TENANT,
    role: key_pb2.KeyRole = key_pb2.KEY_ROLE_CALLER,
) -> str:
    """A new key's secret; "" when the id has its key already. Raises RemoteError."""
    link = Link(fleet.ledger, SERVICE, fleet.internal_token, lazy_ready=True)
    try:
        stub: Any = link.stub(rpc.LedgerServiceStub)
        request = pb.CreateKeyRequest(key_id=key_id, tenant=tenant, role=role)
        response = await link.call(stub.CreateKey, request, Deadline.after(CALL_SECONDS_MAX))
    finally:
        await link.close()
    return str(response.secret)
