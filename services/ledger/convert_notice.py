"""What holds say of budgets: from the books' values to the contract's messages."""

from google.protobuf import timestamp_pb2
from spendgate.ledger.v1 import budget_pb2, hold_pb2

from services.ledger.rules.values import MICROS_PER_SECOND, BudgetUnit, Left, Notice


def to_time(us: int) -> timestamp_pb2.Timestamp:
    """Microseconds since 1970 as a time."""
    seconds, micros = divmod(us, MICROS_PER_SECOND)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=micros * 1000)


def to_pb_left(left: Left) -> hold_pb2.BudgetLeft:
    """What is left of a budget."""
    made = hold_pb2.BudgetLeft(
        budget_id=left.budget_id,
        unit=f"BUDGET_UNIT_{left.unit.name}",
        left_amount=left.left_amount,
        limit_amount=left.limit_amount,
    )
    if left.unit is BudgetUnit.NANO_USD:
        made.left_nanos, made.limit_nanos = left.left_amount, left.limit_amount
    return made


def to_pb_notice(notice: Notice) -> budget_pb2.BudgetNotice:
    """A budget that let a request go on."""
    made = budget_pb2.BudgetNotice(
        budget_id=notice.budget_id,
        mode=f"BUDGET_MODE_{notice.mode.name}",
        unit=f"BUDGET_UNIT_{notice.unit.name}",
        limit_amount=notice.limit_amount,
        left_amount=notice.left_amount,
        needed_amount=notice.needed_amount,
        each=dict(notice.each),
    )
    if notice.reset_us is not None:
        made.reset_time.CopyFrom(to_time(notice.reset_us))
    return made
