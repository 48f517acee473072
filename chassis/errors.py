"""From a room's exceptions to google.rpc.Status, by one table a room.

grpc.aio hands the text of an unhandled exception to the caller; here a status is only ever
made by a row of the table, and what has no row is INTERNAL with a fixed sentence.
"""

import logging
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from chassis.auth import Unauthenticated
from chassis.deadline import DeadlinePassed

_log = logging.getLogger("chassis.errors")

# The domain of what any room may answer: TOKEN_INVALID, MESSAGE_INVALID, INTERNAL.
CHASSIS_DOMAIN = "chassis.spendgate"

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that breaks a rule. `description` never quotes the field's content."""

    field: str
    description: str


class InvalidFields(Exception):
    """A request breaks rules of its message. Every table maps it to INVALID_ARGUMENT."""

    def __init__(
        self,
        reason: str,
        *violations: FieldViolation,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.violations = violations
        self.metadata = metadata or {}


class StatusError(Exception):
    """An error that has its status already."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(code_of(status).name)
        self.status = status

    def __reduce__(self) -> tuple[type[Self], tuple[status_pb2.Status]]:
        """A copy is made from the status, not from the exception's text."""
        return type(self), (self.status,)


class RemoteError(StatusError):
    """A status that another service answered with, for one item or a whole call."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status)
        self.code = code_of(status)
        info = error_details_pb2.ErrorInfo()
        for detail in status.details:
            if detail.Unpack(info):
                break
        self.reason = info.reason
        self.metadata = dict(info.metadata)

    @classmethod
    def from_rpc(cls, error: grpc.aio.AioRpcError) -> Self:
        """The status of a failed call, its details included."""
        status = rpc_status.from_call(error)
        if status is None:
            status = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
        return cls(status)


@dataclass(frozen=True, slots=True)
class ErrorStatus:
    """What an exception looks like from outside."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: Sequence[FieldViolation] = ()
    # (subject, description): google.rpc.QuotaFailure.
    quota: Sequence[tuple[str, str]] = ()
    # (type, subject, description): google.rpc.PreconditionFailure.
    preconditions: Sequence[tuple[str, str, str]] = ()
    retry_after_seconds: float | None = None


class ErrorTable:
    """Maps a room's exceptions to statuses; `domain` is that of its ErrorInfo."""

    def __init__(
        self, domain: str, rows: Mapping[type[Exception], Callable[[Any], ErrorStatus]]
    ) -> None:
        self._domain = domain
        self._rows: dict[type, Callable[[Any], ErrorStatus]] = {
            InvalidFields: _invalid_fields,
            DeadlinePassed: _deadline_passed,
            **rows,
        }

    def to_status(self, error: BaseException) -> status_pb2.Status:
        """The status for `error`. Unmapped: INTERNAL, a fixed text and an id to find the log by."""
        if isinstance(error, StatusError):
            return error.status
        for kind in type(error).__mro__:
            row = self._rows.get(kind)
            if row is not None:
                return self.build(row(error))
        if isinstance(error, Unauthenticated):
            message = "the fleet's token is missing or wrong"
            code = grpc.StatusCode.UNAUTHENTICATED
            return _build(CHASSIS_DOMAIN, ErrorStatus(code, "TOKEN_INVALID", message))
        error_id = uuid.uuid4().hex[:12]
        # Types and places only: the text of an exception may hold a prompt or a key.
        _log.error(
            "unmapped error",
            extra={
                "error_id": error_id,
                "error_type": type(error).__name__,
                "places": places_of(error),
            },
        )
        message = f"internal error {error_id}; the service's log has it under this id"
        internal = ErrorStatus(grpc.StatusCode.INTERNAL, "INTERNAL", message, {"errorId": error_id})
        return _build(CHASSIS_DOMAIN, internal)

    def build(self, what: ErrorStatus) -> status_pb2.Status:
        """google.rpc.Status with its details, ErrorInfo first."""
        return _build(self._domain, what)


def message_invalid() -> StatusError:
    """For bytes that are no message of the method's."""
    what = "is not valid protobuf, or a string in it is not UTF-8"
    return StatusError(
        _build(
            CHASSIS_DOMAIN,
            ErrorStatus(
                grpc.StatusCode.INVALID_ARGUMENT,
                "MESSAGE_INVALID",
                f"the message {what}",
                violations=(FieldViolation("(message)", what),),
            ),
        )
    )


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    """The status's code as grpc names it."""
    return _CODES.get(status.code, grpc.StatusCode.UNKNOWN)


def places_of(error: BaseException) -> list[str]:
    """Where an exception passed, innermost last, without any of its text."""
    return [
        f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


def _invalid_fields(error: InvalidFields) -> ErrorStatus:
    first = error.violations[0] if error.violations else FieldViolation("", "invalid request")
    more = len(error.violations) - 1
    message = f"{first.field}: {first.description}" if first.field else first.description
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        error.reason,
        message + (f" (and {more} more)" if more > 0 else ""),
        error.metadata,
        violations=error.violations,
    )


def _deadline_passed(_: DeadlinePassed) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED", "the time for this is up"
    )


def _build(domain: str, what: ErrorStatus) -> status_pb2.Status:
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=what.reason, domain=domain, metadata=what.metadata)
    ]
    if what.violations:
        bad = error_details_pb2.BadRequest()
        for violation in what.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        details.append(bad)
    if what.quota:
        quota = error_details_pb2.QuotaFailure()
        for subject, description in what.quota:
            quota.violations.add(subject=subject, description=description)
        details.append(quota)
    if what.preconditions:
        unmet = error_details_pb2.PreconditionFailure()
        for kind, subject, description in what.preconditions:
            unmet.violations.add(type=kind, subject=subject, description=description)
        details.append(unmet)
    if what.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(what.retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=what.code.value[0], message=what.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
