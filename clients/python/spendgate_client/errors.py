"""What a refusal carries, as classes that name it."""

from datetime import datetime
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


class SpendgateError(Exception):
    """Any refusal. `reason` is the gateway's ErrorReason without its prefix, "" without one."""

    def __init__(self, code: grpc.StatusCode, message: str, details: dict[str, Any]) -> None:
        super().__init__(message)
        info = details.get("ErrorInfo", error_details_pb2.ErrorInfo())
        self.code = code
        self.reason: str = info.reason
        self.metadata: dict[str, str] = dict(info.metadata)


class KeyInvalid(SpendgateError):
    """The key opens nothing."""


class ModelUnpriced(SpendgateError):
    """What the model costs could not be booked."""


class ProviderRefused(SpendgateError):
    """The provider will not take the request as it is."""


class ProviderFailed(SpendgateError):
    """No provider of the chain gave an answer."""


class ServiceUnavailable(SpendgateError):
    """A service of the fleet did not answer."""


class DeadlinePassed(SpendgateError):
    """The time was up."""


class Cancelled(SpendgateError):
    """The caller left."""


class InvalidRequest(SpendgateError):
    """`violations` names each field that is missing or out of range, and why."""

    def __init__(self, code: grpc.StatusCode, message: str, details: dict[str, Any]) -> None:
        super().__init__(code, message, details)
        bad = details.get("BadRequest", error_details_pb2.BadRequest())
        self.violations = {each.field: each.description for each in bad.field_violations}


class ModelUnknown(SpendgateError):
    """`nearest` is a configured name that is close, or ""."""

    @property
    def nearest(self) -> str:
        """The nearest configured name."""
        return self.metadata.get("nearest", "")


class NoCandidate(SpendgateError):
    """`excluded` names each model that cannot take the request, and why."""

    def __init__(self, code: grpc.StatusCode, message: str, details: dict[str, Any]) -> None:
        super().__init__(code, message, details)
        failure = details.get("PreconditionFailure", error_details_pb2.PreconditionFailure())
        self.excluded = {each.subject: each.description for each in failure.violations}


class BudgetExceeded(SpendgateError):
    """A budget would be broken. Amounts are nano-USD; `reset_time` is None for a lifetime's."""

    def __init__(self, code: grpc.StatusCode, message: str, details: dict[str, Any]) -> None:
        super().__init__(code, message, details)
        told = self.metadata
        self.budget_id = told.get("budgetId", "")
        self.limit_nanos = int(told.get("limitNanos", 0))
        self.left_nanos = int(told.get("leftNanos", 0))
        self.needed_nanos = int(told.get("neededNanos", 0))
        reset = told.get("resetTime")
        self.reset_time = datetime.fromisoformat(reset.replace("Z", "+00:00")) if reset else None
        quota = details.get("QuotaFailure", error_details_pb2.QuotaFailure())
        self.quota = {each.subject: each.description for each in quota.violations}


class Overloaded(SpendgateError):
    """Come back after `retry_after_seconds`."""

    def __init__(self, code: grpc.StatusCode, message: str, details: dict[str, Any]) -> None:
        super().__init__(code, message, details)
        retry = details.get("RetryInfo", error_details_pb2.RetryInfo())
        self.retry_after_seconds = retry.retry_delay.ToTimedelta().total_seconds()


_BY_REASON: dict[str, type[SpendgateError]] = {
    "KEY_INVALID": KeyInvalid,
    "REQUEST_INVALID": InvalidRequest,
    "OVERLOADED": Overloaded,
    "MODEL_UNKNOWN": ModelUnknown,
    "NO_CANDIDATE": NoCandidate,
    "MODEL_UNPRICED": ModelUnpriced,
    "BUDGET_EXCEEDED": BudgetExceeded,
    "PROVIDER_REFUSED": ProviderRefused,
    "PROVIDER_FAILED": ProviderFailed,
    "SERVICE_UNAVAILABLE": ServiceUnavailable,
    "DEADLINE_PASSED": DeadlinePassed,
}
_BY_CODE: dict[grpc.StatusCode, type[SpendgateError]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlinePassed,
    grpc.StatusCode.CANCELLED: Cancelled,
}


def typed(error: grpc.RpcError) -> SpendgateError:
    """The typed error for what grpc raised."""
    details: dict[str, Any] = {}
    status = rpc_status.from_call(error)
    for packed in status.details if status is not None else ():
        kind = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2], None)
        if kind is not None:
            details[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    code = error.code()
    reason = details["ErrorInfo"].reason if "ErrorInfo" in details else ""
    known = _BY_REASON.get(reason) or _BY_CODE.get(code) or SpendgateError
    return known(code, error.details() or code.name, details)
