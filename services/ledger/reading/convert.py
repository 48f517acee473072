"""Between the reading contract's messages and what is asked of the stores."""

from collections.abc import Sequence

from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import reading_service_pb2 as pb

from services.ledger.convert import from_pb_time, to_pb_report_row
from services.ledger.reading.breakdown import Question, Row
from services.ledger.rules.windows import HOUR_US, hour_start, to_datetime

AXES = {
    pb.AXIS_FEATURE: "feature",
    pb.AXIS_MODEL: "model",
    pb.AXIS_USER: "user",
    pb.AXIS_PROJECT: "project",
    pb.AXIS_PROVIDER: "provider",
    pb.AXIS_KIND: "kind",
    pb.AXIS_KEY: "key",
    pb.AXIS_TAG: "tag",
    pb.AXIS_SESSION: "session",
    pb.AXIS_HOUR: "hour",
    pb.AXIS_DAY: "day",
}


def to_question(request: pb.BreakdownRequest, end_us: int) -> Question:
    """What to sum. `end_us` is a full hour."""
    return Question(
        tenant=request.tenant,
        start_us=hour_start(from_pb_time(request.start_time)),
        end_us=end_us,
        axes=tuple(AXES[axis] for axis in request.group_by),
        tag_name=request.tag_name,
        only=tuple(_only(each) for each in request.only),
    )


def end_of(request: pb.BreakdownRequest, now_us: int) -> int:
    """The full hour that the period ends before."""
    end_us = from_pb_time(request.end_time) if request.HasField("end_time") else now_us
    return hour_start(end_us + HOUR_US - 1)


def to_pb_row(row: Row, axes: Sequence[str]) -> pb.BreakdownRow:
    """A group."""
    values = [_text(axis, value) for axis, value in zip(axes, row.values, strict=True)]
    made = pb.BreakdownRow(sums=to_pb_report_row(values, row.sums))
    for percent, latency in zip((50, 90, 99), row.latency, strict=True):
        if latency is not None:
            setattr(made, f"latency_p{percent}_ms", latency)
    return made


def _only(each: pb.AxisValue) -> tuple[str, str | int]:
    if each.axis != pb.AXIS_KIND:
        return AXES[each.axis], each.value
    known = entry_pb2.EntryKind.keys()
    return "kind", entry_pb2.EntryKind.Value(each.value) if each.value in known else -1


def _text(axis: str, value: str | int) -> str:
    match axis:
        case "kind":
            return str(entry_pb2.EntryKind.Name(entry_pb2.EntryKind.ValueType(int(value))))
        case "hour":
            return to_datetime(int(value)).strftime("%Y-%m-%dT%H:00:00Z")
        case "day":
            return to_datetime(int(value)).strftime("%Y-%m-%d")
    return str(value)
