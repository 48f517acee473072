"""How the gateway fails, and what callers see of it."""

import grpc
from google.rpc import error_details_pb2, status_pb2

from chassis.coalesce import CoalescerClosed, QueueFull
from chassis.errors import ErrorStatus, ErrorTable, RemoteError, StatusError
from gateway.batches.words import LimitReached, NotFound
from gateway.limits.rules import RateLimited
from gateway.providers.port import ProviderRefused

DOMAIN = "gateway.spendgate"
OVERLOADED_RETRY_SECONDS = 1.0
CIRCUIT_RETRY_SECONDS_MIN = 0.1
FLEET_RETRY_SECONDS = 1.0

# What a service may refuse a request with, for reasons that are the caller's to know.
_FORWARDED = {
    "MODEL_UNKNOWN": "MODEL_UNKNOWN",
    "NO_CANDIDATE": "NO_CANDIDATE",
    "MODEL_UNPRICED": "MODEL_UNPRICED",
    "BUDGET_EXCEEDED": "BUDGET_EXCEEDED",
    "PROMPT_INVALID": "REQUEST_INVALID",
    "TEXT_TOO_LARGE": "REQUEST_INVALID",
    "MODEL_INVALID": "REQUEST_INVALID",
    "COMPRESSION_INVALID": "REQUEST_INVALID",
    "CONTEXT_INVALID": "REQUEST_INVALID",
    "CONTEXT_TOO_LARGE": "REQUEST_INVALID",
    "SCOPE_INVALID": "REQUEST_INVALID",
    "REQUEST_INVALID": "REQUEST_INVALID",
    "DEADLINE_PASSED": "DEADLINE_PASSED",
}


class KeyInvalid(Exception):
    """The key or token is missing, unknown, disabled or expired. `why` is for the audit log, never
    for the caller."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


class Overloaded(Exception):
    """There is as much to do as can be done in time; nothing of the request was."""

    def __init__(self, requests_max: int, retry_seconds: float = OVERLOADED_RETRY_SECONDS) -> None:
        super().__init__(f"at most {requests_max} requests under way")
        self.requests_max = requests_max
        self.retry_seconds = retry_seconds


class ModelUnpriced(Exception):
    """The price of the model is unknown: what it costs could not be booked."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class AdminRequired(Exception):
    """The key has not the role for this: it calls models, or reads, and nothing else."""


class IdempotencyMismatch(Exception):
    """The idempotency key was sent before with another body."""


class IdempotencyAnswerLost(Exception):
    """The idempotency key's request was answered, and its answer could not be kept."""


class ModelNotAllowed(Exception):
    """The key may not call this model."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class ProviderFailed(Exception):
    """No provider in the chain gave an answer."""

    def __init__(self, provider: str, reason: str, attempt_count: int) -> None:
        super().__init__(f"{provider}: {reason} after {attempt_count} attempts")
        self.provider = provider
        self.reason = reason
        self.attempt_count = attempt_count


class CircuitOpen(ProviderFailed):
    """Every model of the chain has failed too often lately: none was called."""

    def __init__(self, provider: str, left_seconds: float) -> None:
        super().__init__(provider, "CIRCUIT_OPEN", 0)
        self.left_seconds = left_seconds


class FleetChanging(Exception):
    """The router knows a model that this gateway's fleet file does not have yet."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class ServiceUnavailable(Exception):
    """A service of the fleet did not answer."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.service = service


def from_service(service: str, error: Exception) -> Exception:
    """What a failure of `service` is to the gateway's caller: a refusal with its details under
    the gateway's own domain, or ServiceUnavailable."""
    if isinstance(error, RemoteError):
        reason = _FORWARDED.get(error.reason)
        if reason is not None:
            return StatusError(_under_own_domain(error.status, reason))
        if error.code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return ServiceUnavailable(service)
    if isinstance(error, QueueFull):
        return Overloaded(error.waiting_max)
    if isinstance(error, RemoteError | CoalescerClosed):
        return ServiceUnavailable(service)
    return error


def _under_own_domain(status: status_pb2.Status, reason: str) -> status_pb2.Status:
    own = status_pb2.Status()
    own.CopyFrom(status)
    info = error_details_pb2.ErrorInfo()
    for detail in own.details:
        if detail.Unpack(info):
            info.domain, info.reason = DOMAIN, reason
            detail.Pack(info)
    return own


def _key_invalid(_: KeyInvalid) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAUTHENTICATED,
        "KEY_INVALID",
        "the key is missing or not valid; send `authorization: Bearer <virtual key or token>`",
    )


def _overloaded(error: Overloaded) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "OVERLOADED",
        "the gateway has all the work it can do in time; nothing was begun, try again shortly",
        {"requestsMax": str(error.requests_max)},
        retry_after_seconds=error.retry_seconds,
    )


def _model_unpriced(error: ModelUnpriced) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_UNPRICED",
        f"the price of {error.model} is unknown; set one in the fleet file (price or priced_as)",
        {"model": error.model},
    )


def _admin_required(_: AdminRequired) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.PERMISSION_DENIED,
        "ADMIN_REQUIRED",
        "this key may call models or read only; budgets, keys and books take one with the admin"
        " role",
    )


def _idempotency_mismatch(_: IdempotencyMismatch) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.ALREADY_EXISTS,
        "IDEMPOTENCY_MISMATCH",
        "this idempotency key was sent before with another body; take a new key for it",
    )


def _idempotency_answer_lost(_: IdempotencyAnswerLost) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.FAILED_PRECONDITION,
        "IDEMPOTENCY_ANSWER_LOST",
        "the request of this idempotency key was answered and charged, but the answer was too"
        " large to be kept; it is not asked again",
    )


def _model_not_allowed(error: ModelNotAllowed) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.PERMISSION_DENIED,
        "MODEL_NOT_ALLOWED",
        f"this key may not call {error.model}",
        {"model": error.model},
    )


def _rate_limited(error: RateLimited) -> ErrorStatus:
    what = f"{error.limit.replace('_', ' ')} of this {error.of}: {error.allowed} allowed"
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        what,
        {"limit": error.limit, "of": error.of, "allowed": str(error.allowed)},
        quota=((f"{error.of}/{error.limit}", what),),
        retry_after_seconds=error.retry_seconds,
    )


def _provider_refused(error: ProviderRefused) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "PROVIDER_REFUSED",
        f"provider {error.provider} refused the request: {error.reason}"
        + (f" ({error.param})" if error.param else ""),
        {
            "provider": error.provider,
            "httpStatus": str(error.http_status),
            "providerReason": str(error.reason),
        }
        | ({"param": error.param} if error.param else {}),
    )


def _provider_failed(error: ProviderFailed) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE,
        "PROVIDER_FAILED",
        f"no provider gave an answer in {error.attempt_count} attempts; the last,"
        f" {error.provider}, failed with {error.reason}",
        {
            "provider": error.provider,
            "providerReason": error.reason,
            "attemptCount": str(error.attempt_count),
        },
    )


def _circuit_open(error: CircuitOpen) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE,
        "CIRCUIT_OPEN",
        f"{error.provider} failed too often lately and is left alone for a while",
        {"provider": error.provider},
        retry_after_seconds=max(error.left_seconds, CIRCUIT_RETRY_SECONDS_MIN),
    )


def _fleet_changing(error: FleetChanging) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE,
        "FLEET_CHANGING",
        f"the fleet file is changing and {error.model} is not known everywhere yet, try again",
        {"model": error.model},
        retry_after_seconds=FLEET_RETRY_SECONDS,
    )


def _service_unavailable(error: ServiceUnavailable) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        f"the {error.service} did not answer",
        {"service": error.service},
    )


def _batch_not_found(error: NotFound) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.NOT_FOUND,
        "BATCH_NOT_FOUND",
        f"there is no {error.what} of this id",
        {"what": error.what},
    )


def _batch_limit_reached(error: LimitReached) -> ErrorStatus:
    what = f"{error.limit} of the tenant: {error.allowed} allowed"
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "BATCH_LIMIT_REACHED",
        what,
        {"limit": error.limit, "allowed": str(error.allowed)},
        quota=((f"tenant/{error.limit}", what),),
    )


ERRORS = ErrorTable(
    DOMAIN,
    {
        KeyInvalid: _key_invalid,
        Overloaded: _overloaded,
        ModelUnpriced: _model_unpriced,
        ModelNotAllowed: _model_not_allowed,
        AdminRequired: _admin_required,
        IdempotencyMismatch: _idempotency_mismatch,
        IdempotencyAnswerLost: _idempotency_answer_lost,
        RateLimited: _rate_limited,
        ProviderRefused: _provider_refused,
        ProviderFailed: _provider_failed,
        CircuitOpen: _circuit_open,
        FleetChanging: _fleet_changing,
        ServiceUnavailable: _service_unavailable,
        NotFound: _batch_not_found,
        LimitReached: _batch_limit_reached,
    },
)
