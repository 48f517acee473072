"""A google.rpc.Status as OpenAI's API would tell it: HTTP status, error object, headers."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from chassis.errors import code_of

_Code = grpc.StatusCode

_HTTP_STATUSES = {
    _Code.INVALID_ARGUMENT: 400,
    _Code.FAILED_PRECONDITION: 400,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNAUTHENTICATED: 401,
    _Code.PERMISSION_DENIED: 403,
    _Code.NOT_FOUND: 404,
    _Code.ALREADY_EXISTS: 409,
    _Code.ABORTED: 409,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.CANCELLED: 499,
    _Code.UNIMPLEMENTED: 501,
    _Code.UNAVAILABLE: 503,
    _Code.DEADLINE_EXCEEDED: 504,
}
# What says more than its code does.
_STATUSES_OF_REASONS = {"PROVIDER_FAILED": 502, "OVERLOADED": 503, "CIRCUIT_OPEN": 503}
# A provider's refusal keeps its status where that is about the request.
_PROVIDER_STATUSES = frozenset({"400", "413", "415", "422"})

_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    408: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
_SERVER_ERROR = "server_error"
# Words of OpenAI's own, which clients look for.
_CODES = {
    "KEY_INVALID": "invalid_api_key",
    "MODEL_UNKNOWN": "model_not_found",
    "CONTEXT_TOO_LONG": "context_length_exceeded",
    "RATE_LIMITED": "rate_limit_exceeded",
}

LIMIT_PARAM = "max_completion_tokens"
_PARAMS = {
    "sampling.output_tokens_max": LIMIT_PARAM,
    "sampling.choice_count": "n",
    "options.tags": "metadata",
    "options.user": "user",
    "options.feature": "x-spendgate-feature",
    "options.session": "x-spendgate-session",
    "options.project": "x-spendgate-project",
    "options.idempotency_key": "idempotency-key",
    "options.cache_ttl_class": "x-spendgate-cache-ttl-class",
    "options.cache_mode": "x-spendgate-cache",
    "options.cost_max_nanos": "x-spendgate-cost-max-usd",
    "prompt": "messages",
}


_PATHS = (
    (re.compile(r"\.parts\["), ".content["),
    (re.compile(r"\.image\."), ".image_url."),
    (re.compile(r"\.audio\."), ".input_audio."),
    (
        re.compile(
            r"((?:^tools|\.tool_calls)\[\d+\])\.(name|description|parameters|arguments|strict)"
        ),
        r"\1.function.\2",
    ),
    (re.compile(r"_json$"), ""),
)


@dataclass(frozen=True, slots=True)
class HttpError:
    """What goes over the wire."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def plain_error(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> HttpError:
    """An error of the wire itself, which no status of the fleet stands for."""
    kind = _TYPES.get(status, _SERVER_ERROR)
    error = {"message": message, "type": kind, "param": param, "code": code}
    return HttpError(status, {"error": error})


def error_of(status: status_pb2.Status, limit_name: str = LIMIT_PARAM) -> HttpError:
    """The status in OpenAI's words; its reason and metadata beside them, where SDKs do not look.

    `limit_name` is the option by which the caller limited output tokens: there are two.
    """
    details = _details(status)
    info = details.info
    http_status = _HTTP_STATUSES.get(code_of(status), 500)
    http_status = _STATUSES_OF_REASONS.get(info.reason, http_status)
    code = _CODES.get(info.reason, info.reason) or None
    param = param_of(details.field) or None
    kind = _TYPES.get(http_status, _SERVER_ERROR)
    if info.reason == "MODEL_UNKNOWN":
        param = "model"
    elif info.reason == "PROVIDER_REFUSED":
        param = info.metadata.get("param") or param
        told = info.metadata.get("httpStatus", "")
        http_status = int(told) if told in _PROVIDER_STATUSES else http_status
        code = _CODES.get(info.metadata.get("providerReason", ""), code)
    elif info.reason == "BUDGET_EXCEEDED":
        kind = "insufficient_quota"
    if param == LIMIT_PARAM:
        param = limit_name
    message = status.message
    if details.quota and details.quota not in message:
        message = f"{message} ({details.quota})"
    body: dict[str, Any] = {
        "error": {"message": message, "type": kind, "param": param, "code": code}
    }
    if info.reason:
        body["spendgate"] = {"reason": info.reason, "metadata": dict(info.metadata)}
    return HttpError(http_status, body, _headers(info.reason, details.retry_seconds))


def param_of(path: str) -> str:
    """OpenAI's name for a field of our messages; a path of theirs stays as it is."""
    path = _PARAMS.get(path, path).removeprefix("prompt.")
    path = _PARAMS.get(path, path).removeprefix("sampling.")
    for ours, theirs in _PATHS:
        path = ours.sub(theirs, path)
    return path


@dataclass(slots=True)
class _Details:
    info: error_details_pb2.ErrorInfo
    field: str = ""
    quota: str = ""
    retry_seconds: float | None = None


def _details(status: status_pb2.Status) -> _Details:
    found = _Details(error_details_pb2.ErrorInfo())
    bad = error_details_pb2.BadRequest()
    quota = error_details_pb2.QuotaFailure()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(found.info):
            continue
        if detail.Unpack(bad) and bad.field_violations:
            found.field = bad.field_violations[0].field
        elif detail.Unpack(quota) and quota.violations:
            found.quota = quota.violations[0].subject.removeprefix("budget/")
        elif detail.Unpack(retry):
            found.retry_seconds = retry.retry_delay.ToMilliseconds() / 1000
    return found


def _headers(reason: str, retry_seconds: float | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if retry_seconds is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_seconds)))
        headers["retry-after-ms"] = str(max(0, round(retry_seconds * 1000)))
    if reason == "BUDGET_EXCEEDED":
        # OpenAI's SDKs try a 429 again by themselves; here that cannot help.
        headers["x-should-retry"] = "false"
    return headers
