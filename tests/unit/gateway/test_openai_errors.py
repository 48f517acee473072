"""Every refusal of the fleet has its HTTP status and OpenAI's words."""

import grpc
import pytest
from spendgate.gateway.v1 import error_reason_pb2

from chassis.errors import ErrorStatus, ErrorTable, FieldViolation, InvalidFields
from gateway.openai.errors import error_of, param_of, plain_error

TABLE = ErrorTable("gateway.spendgate", {})
CODE = grpc.StatusCode

WIRE = {
    "KEY_INVALID": (CODE.UNAUTHENTICATED, 401, "invalid_request_error", "invalid_api_key"),
    "REQUEST_INVALID": (CODE.INVALID_ARGUMENT, 400, "invalid_request_error", "REQUEST_INVALID"),
    "OVERLOADED": (CODE.RESOURCE_EXHAUSTED, 503, "server_error", "OVERLOADED"),
    "MODEL_UNKNOWN": (CODE.NOT_FOUND, 404, "invalid_request_error", "model_not_found"),
    "NO_CANDIDATE": (CODE.FAILED_PRECONDITION, 400, "invalid_request_error", "NO_CANDIDATE"),
    "MODEL_UNPRICED": (CODE.FAILED_PRECONDITION, 400, "invalid_request_error", "MODEL_UNPRICED"),
    "BUDGET_EXCEEDED": (CODE.RESOURCE_EXHAUSTED, 429, "insufficient_quota", "BUDGET_EXCEEDED"),
    "MODEL_NOT_ALLOWED": (CODE.PERMISSION_DENIED, 403, "permission_error", "MODEL_NOT_ALLOWED"),
    "ADMIN_REQUIRED": (CODE.PERMISSION_DENIED, 403, "permission_error", "ADMIN_REQUIRED"),
    "RATE_LIMITED": (CODE.RESOURCE_EXHAUSTED, 429, "rate_limit_error", "rate_limit_exceeded"),
    "IDEMPOTENCY_MISMATCH": (
        CODE.ALREADY_EXISTS,
        409,
        "invalid_request_error",
        "IDEMPOTENCY_MISMATCH",
    ),
    "IDEMPOTENCY_ANSWER_LOST": (
        CODE.FAILED_PRECONDITION,
        400,
        "invalid_request_error",
        "IDEMPOTENCY_ANSWER_LOST",
    ),
    "PROVIDER_REFUSED": (CODE.INVALID_ARGUMENT, 400, "invalid_request_error", "PROVIDER_REFUSED"),
    "CIRCUIT_OPEN": (CODE.UNAVAILABLE, 503, "server_error", "CIRCUIT_OPEN"),
    "FLEET_CHANGING": (CODE.UNAVAILABLE, 503, "server_error", "FLEET_CHANGING"),
    "PROVIDER_FAILED": (CODE.UNAVAILABLE, 502, "server_error", "PROVIDER_FAILED"),
    "SERVICE_UNAVAILABLE": (CODE.UNAVAILABLE, 503, "server_error", "SERVICE_UNAVAILABLE"),
    "BATCH_NOT_FOUND": (CODE.NOT_FOUND, 404, "invalid_request_error", "BATCH_NOT_FOUND"),
    "BATCH_LIMIT_REACHED": (
        CODE.RESOURCE_EXHAUSTED,
        429,
        "rate_limit_error",
        "BATCH_LIMIT_REACHED",
    ),
    "DEADLINE_PASSED": (CODE.DEADLINE_EXCEEDED, 504, "server_error", "DEADLINE_PASSED"),
}


@pytest.mark.parametrize("name", error_reason_pb2.ErrorReason.keys()[1:])
def test_every_reason_of_the_contract(name: str) -> None:
    """No reason is left to a default: a new one must be given its words here."""
    reason = name.removeprefix("ERROR_REASON_")
    code, status, kind, word = WIRE[reason]
    told = error_of(TABLE.build(ErrorStatus(code, reason, "message")))
    assert told.status == status
    assert told.body["error"] == {
        "message": "message",
        "type": kind,
        "param": "model" if reason == "MODEL_UNKNOWN" else None,
        "code": word,
    }
    assert told.body["spendgate"] == {"reason": reason, "metadata": {}}


def test_what_has_no_reason() -> None:
    """A bare status still is an error in OpenAI's shape."""
    bare = TABLE.build(ErrorStatus(CODE.INTERNAL, "", "internal error"))
    assert error_of(bare).status == 500
    assert error_of(bare).body == plain_error(500, "internal error").body


def test_when_to_come_back() -> None:
    """Whole seconds for everybody, milliseconds for who reads them; never at once."""
    soon = ErrorStatus(CODE.RESOURCE_EXHAUSTED, "OVERLOADED", "m", retry_after_seconds=0.25)
    assert error_of(TABLE.build(soon)).headers == {"Retry-After": "1", "retry-after-ms": "250"}
    later = ErrorStatus(CODE.RESOURCE_EXHAUSTED, "OVERLOADED", "m", retry_after_seconds=1.2)
    assert error_of(TABLE.build(later)).headers["Retry-After"] == "2"


def test_the_budget_is_named() -> None:
    """Also when the message forgets to."""
    status = ErrorStatus(
        CODE.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED", "no money left", quota=[("budget/b1", "x")]
    )
    assert error_of(TABLE.build(status)).body["error"]["message"] == "no money left (b1)"


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("model", "model"),
        ("prompt", "messages"),
        ("prompt.messages", "messages"),
        ("prompt.messages[3].role", "messages[3].role"),
        ("prompt.messages[3].parts[1]", "messages[3].content[1]"),
        ("prompt.messages[0].parts[1].image.url", "messages[0].content[1].image_url.url"),
        ("prompt.messages[0].parts[1].audio.data", "messages[0].content[1].input_audio.data"),
        ("prompt.messages[0].tool_calls[2].name", "messages[0].tool_calls[2].function.name"),
        ("prompt.tools[0].name", "tools[0].function.name"),
        ("prompt.tools[0].parameters_json", "tools[0].function.parameters"),
        ("prompt.tool_choice_json", "tool_choice"),
        ("prompt.sampling.temperature", "temperature"),
        ("prompt.sampling.output_tokens_max", "max_completion_tokens"),
        ("prompt.sampling.choice_count", "n"),
        ("options.tags", "metadata"),
        ("options.cost_max_nanos", "x-spendgate-cost-max-usd"),
        ("messages[0].content", "messages[0].content"),
        ("", ""),
    ],
)
def test_params_have_the_names_callers_used(path: str, param: str) -> None:
    """A caller of the HTTP door never saw our messages."""
    assert param_of(path) == param


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_is_called_what_the_caller_called_it(name: str) -> None:
    """There are two names for it."""
    violation = FieldViolation("prompt.sampling.output_tokens_max", "is at least 1")
    status = TABLE.to_status(InvalidFields("REQUEST_INVALID", violation))
    assert error_of(status, name).body["error"]["param"] == name
