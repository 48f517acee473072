"""How exceptions become statuses."""

import logging

import grpc
import pytest
from google.rpc import error_details_pb2

from chassis.auth import Unauthenticated
from chassis.deadline import DeadlinePassed
from chassis.errors import (
    CHASSIS_DOMAIN,
    ErrorStatus,
    ErrorTable,
    FieldViolation,
    InvalidFields,
    RemoteError,
    message_invalid,
)


class Broke(Exception):
    def __init__(self, left: int) -> None:
        super().__init__(left)
        self.left = left


TABLE = ErrorTable(
    "test.spendgate",
    {
        Broke: lambda e: ErrorStatus(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "BROKE",
            f"{e.left} left",
            {"left": str(e.left)},
            quota=[("budget/b1", "over")],
            preconditions=[("MODEL", "m", "no")],
            retry_after_seconds=1.5,
        )
    },
)


def details(status, kind):
    found = kind()
    return [kind.FromString(found.SerializeToString()) for d in status.details if d.Unpack(found)]


def test_a_mapped_error_carries_reason_numbers_and_details():
    """The row of the table decides code, reason, metadata and every detail."""
    status = TABLE.to_status(Broke(7))
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    info = details(status, error_details_pb2.ErrorInfo)[0]
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "BROKE",
        "test.spendgate",
        {"left": "7"},
    )
    assert details(status, error_details_pb2.QuotaFailure)[0].violations[0].subject == "budget/b1"
    assert details(status, error_details_pb2.PreconditionFailure)[0].violations[0].type == "MODEL"
    assert details(status, error_details_pb2.RetryInfo)[0].retry_delay.ToMilliseconds() == 1500


def test_a_subclass_is_mapped_like_its_base():
    """A room may refine its errors without a row for each."""

    class Broker(Broke):
        pass

    assert TABLE.to_status(Broker(1)).message == "1 left"


def test_an_unmapped_error_shows_an_id_and_nothing_of_itself(caplog):
    """Neither the caller nor the log sees the text: it may hold a prompt or a key."""
    with caplog.at_level(logging.ERROR):
        try:
            raise ValueError("sg_secret")
        except ValueError as error:
            status = TABLE.to_status(error)
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    info = details(status, error_details_pb2.ErrorInfo)[0]
    assert info.domain == CHASSIS_DOMAIN
    record = caplog.records[-1]
    assert record.error_id == info.metadata["errorId"]
    assert "sg_secret" not in status.message + str(vars(record))
    assert record.places[-1].endswith("test_an_unmapped_error_shows_an_id_and_nothing_of_itself")


def test_invalid_fields_name_each_field_once():
    """Callers can mark every bad field at once."""
    status = TABLE.to_status(
        InvalidFields("REQUEST_INVALID", FieldViolation("a", "is bad"), FieldViolation("b", "too"))
    )
    assert status.message == "a: is bad (and 1 more)"
    bad = details(status, error_details_pb2.BadRequest)[0]
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("a", "is bad"),
        ("b", "too"),
    ]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (DeadlinePassed(), grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_PASSED"),
        (Unauthenticated(), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
        (message_invalid(), grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_INVALID"),
    ],
)
def test_what_the_chassis_raises_is_known_to_every_table(error, code, reason):
    """No room has to map what its layers do."""
    status = TABLE.to_status(error)
    assert status.code == code.value[0]
    assert details(status, error_details_pb2.ErrorInfo)[0].reason == reason


def test_a_remote_error_reads_reason_and_metadata_back():
    """What one room refuses with, the next can act on."""
    remote = RemoteError(TABLE.to_status(Broke(7)))
    assert remote.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (remote.reason, remote.metadata) == ("BROKE", {"left": "7"})
    assert TABLE.to_status(remote) is remote.status
