"""What requests about leases must look like, whatever the books hold."""

from collections.abc import Sequence

from spendgate.ledger.v1 import lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from services.ledger.rules.values import NANOS_MAX
from services.ledger.validate import (
    HOLD_SECONDS_MAX,
    HOLD_SECONDS_MIN,
    MODEL_BYTES_MAX,
    Checks,
    check_attribution,
    check_lease_name,
)

LEASED_MODELS_MAX = 64


def check_acquire(request: pb.AcquireLeaseRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    check_lease_name(checks, "lease", request.lease)
    check_attribution(checks, request.attribution)
    rule = "must be empty: a lease is for all sessions of a caller"
    checks.that(not request.attribution.session, "attribution.session", rule)
    _models(checks, request.models)
    checks.that(request.HasField("wanted"), "wanted", "is required")
    _amounts(checks, "wanted", request.wanted)
    _amounts(checks, "least", request.least)
    for field in ("admit_duration", "call_duration"):
        checks.seconds(field, getattr(request, field), HOLD_SECONDS_MIN, HOLD_SECONDS_MAX)
    checks.done()


def check_return(request: pb.ReturnLeaseRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    check_lease_name(checks, "lease", request.lease)
    checks.name("tenant", request.tenant)
    _amounts(checks, "keep", request.keep)
    checks.done()


def _models(checks: Checks, models: Sequence[lease_pb2.LeasedModel]) -> None:
    checks.count("models", len(models), 1, LEASED_MODELS_MAX)
    for place, each in enumerate(models[:LEASED_MODELS_MAX]):
        checks.name(f"models[{place}].model", each.model, MODEL_BYTES_MAX)
        checks.text(f"models[{place}].provider", each.provider)
        checks.that(not each.price_version, f"models[{place}].price_version", "is for answers")


def _amounts(checks: Checks, field: str, amounts: lease_pb2.LeaseAmounts) -> None:
    for unit in ("nanos", "tokens", "requests"):
        checks.between(f"{field}.{unit}", getattr(amounts, unit), 0, NANOS_MAX)
