"""The batch-native verbs: many items in, one command each, all through group commit."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opentelemetry import metrics
from opentelemetry.trace import Span
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from chassis import names
from chassis.batch import Item, Live
from chassis.errors import InvalidFields
from services.ledger import convert, validate
from services.ledger.rules.commands import Answer, Command, HoldAnswer, Settlement
from services.ledger.rules.refusals import BudgetDowngrade, BudgetExceeded
from services.ledger.rules.values import BudgetUnit, Entry, Left, Notice
from services.ledger.writer import GroupCommit

# Checking and converting more items than this goes to a thread, so that the loop stays free.
ITEMS_INLINE_MAX = 8

_commands = metrics.get_meter("spendgate").create_counter(
    "spendgate.ledger.commands", unit="{command}", description="Commands, by verb and outcome."
)

ItemT = TypeVar("ItemT", bound=Item)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verb(Generic[ItemT]):
    """How a verb's items are checked and turned into commands, its answers into messages."""

    name: str
    check: Callable[[ItemT], None]
    command: Callable[[ItemT], Command]
    message: Callable[[Any], Any]
    note: Callable[[Span, Any], None]


async def move(
    writer: GroupCommit, verb: Verb[ItemT], lives: Sequence[Live[ItemT]]
) -> list[Any | Exception]:
    """One message or exception an item, once every command is on disk."""
    commands = await _off_loop(lambda: [_command(verb, live.item) for live in lives], len(lives))
    futures = [
        _done(command) if isinstance(command, Exception) else writer.submit(command, live.deadline)
        for command, live in zip(commands, lives, strict=True)
    ]
    # Cancelling this cancels the futures: the writer then knows that nobody waits.
    outcomes = await asyncio.gather(*futures)
    for live, outcome in zip(lives, outcomes, strict=True):
        _note(verb, live.span, outcome)
    return await _off_loop(
        lambda: [o if isinstance(o, Exception) else verb.message(o) for o in outcomes],
        len(outcomes),
    )


def _command(verb: Verb[ItemT], item: ItemT) -> Command | Exception:
    try:
        verb.check(item)
    except InvalidFields as error:
        return error
    return verb.command(item)


async def _off_loop(work: Callable[[], T], size: int) -> T:
    return work() if size <= ITEMS_INLINE_MAX else await asyncio.to_thread(work)


def _done(error: Exception) -> "asyncio.Future[Answer | Exception]":
    future: asyncio.Future[Answer | Exception] = asyncio.get_running_loop().create_future()
    future.set_result(error)
    return future


def _note(verb: Verb[ItemT], span: Span, outcome: Answer | Exception) -> None:
    failed = isinstance(outcome, Exception)
    kind = type(outcome).__name__ if failed else "OK"
    _commands.add(1, {"spendgate.ledger.verb": verb.name, "spendgate.ledger.outcome": kind})
    if isinstance(outcome, BudgetExceeded | BudgetDowngrade):
        _note_left(span, outcome.notice)
    if not failed:
        verb.note(span, outcome)


def _note_hold(span: Span, hold: HoldAnswer) -> None:
    span.set_attribute(names.HELD_NANO_USD, hold.held_nanos)
    if hold.tightest is not None:
        _note_left(span, hold.tightest)


def _note_left(span: Span, left: Left | Notice) -> None:
    span.set_attribute(names.BUDGET_ID, left.budget_id)
    if left.unit is BudgetUnit.NANO_USD:
        span.set_attribute(names.BUDGET_LEFT_NANO_USD, left.left_amount)


def _note_settlement(span: Span, settlement: Settlement) -> None:
    _note_hold(span, settlement.hold)
    _note_costs(span, settlement.entries)


def note_entry(span: Span, entry: Entry) -> None:
    """Writes what a row cost and saved on its span."""
    _note_costs(span, [entry])


def _note_costs(span: Span, entries: Sequence[Entry]) -> None:
    cost = sum(entry.cost_nanos for entry in entries)
    counterfactual = sum(entry.counterfactual_nanos for entry in entries)
    span.set_attribute(names.COST_NANO_USD, cost)
    span.set_attribute(names.SAVED_NANO_USD, counterfactual - cost)
    span.set_attribute(names.PRICE_VERSION, entries[-1].price_version)


RESERVE: Verb[pb.ReserveItem] = Verb(
    "reserve",
    validate.check_reserve,
    convert.from_pb_reserve,
    convert.to_pb_hold,
    _note_hold,
)
SETTLE: Verb[pb.SettleItem] = Verb(
    "settle",
    validate.check_settle,
    convert.from_pb_settle,
    convert.to_pb_settlement,
    _note_settlement,
)
RELEASE: Verb[pb.ReleaseItem] = Verb(
    "release",
    validate.check_release,
    convert.from_pb_release,
    convert.to_pb_hold,
    _note_hold,
)
RECORD: Verb[pb.RecordItem] = Verb(
    "record",
    validate.check_record,
    convert.from_pb_record,
    convert.to_pb_entry,
    note_entry,
)
