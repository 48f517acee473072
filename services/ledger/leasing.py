"""AcquireLease and ReturnLease: one command each, through group commit like every other."""

from spendgate.ledger.v1 import ledger_service_pb2 as pb

from services.ledger.convert import (
    from_duration,
    from_pb_attribution,
    meaning_hash,
    to_pb_hold,
)
from services.ledger.convert_lease import from_pb_amounts, from_pb_lease_name, to_pb_lease
from services.ledger.rules.commands import AcquireLease, HoldAnswer, LeaseAnswer, ReturnLease
from services.ledger.validate_lease import check_acquire, check_return
from services.ledger.writer import GroupCommit


async def acquire_lease(
    writer: GroupCommit, request: pb.AcquireLeaseRequest
) -> pb.AcquireLeaseResponse:
    """A slice of every budget that applies. Raises: InvalidFields; a Refusal."""
    check_acquire(request)
    called = ((each.model, each.provider) for each in request.models)
    command = AcquireLease(
        lease=from_pb_lease_name(request.lease),
        attribution=from_pb_attribution(request.attribution),
        called=tuple(dict.fromkeys(called)),
        wanted=from_pb_amounts(request.wanted),
        least=from_pb_amounts(request.least),
        admit_us=from_duration(request.admit_duration),
        call_us=from_duration(request.call_duration),
        request_hash=meaning_hash(request),
    )
    outcome = await writer.submit(command)
    if isinstance(outcome, LeaseAnswer):
        return pb.AcquireLeaseResponse(lease=to_pb_lease(outcome))
    raise _failure(outcome)


async def return_lease(
    writer: GroupCommit, request: pb.ReturnLeaseRequest
) -> pb.ReturnLeaseResponse:
    """What a lease does not need any more goes back. Raises: InvalidFields; a Refusal."""
    check_return(request)
    command = ReturnLease(
        from_pb_lease_name(request.lease), request.tenant, from_pb_amounts(request.keep)
    )
    outcome = await writer.submit(command)
    if isinstance(outcome, HoldAnswer):
        return pb.ReturnLeaseResponse(hold=to_pb_hold(outcome))
    raise _failure(outcome)


def _failure(outcome: object) -> Exception:
    return outcome if isinstance(outcome, Exception) else TypeError(type(outcome).__name__)
