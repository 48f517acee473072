"""The server's side of a batch-native RPC: many items in, one outcome each, in order."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from google.rpc import status_pb2
from opentelemetry.trace import Span, SpanKind

from chassis.calls import current_call
from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import ErrorTable, FieldViolation, InvalidFields, StatusError
from chassis.telemetry import mark_failed

ITEMS_MAX = 256


class Item(Protocol):
    """What every batch item carries beside its own fields."""

    traceparent: str
    timeout_ms: int


ItemT = TypeVar("ItemT", bound=Item)
OutcomeT = TypeVar("OutcomeT")


@dataclass(frozen=True, slots=True)
class Live(Generic[ItemT]):
    """An item whose time is not up yet, with the span of its work."""

    item: ItemT
    deadline: Deadline
    span: Span


async def answer_batch(
    items: Sequence[ItemT],
    *,
    span_name: str,
    errors: ErrorTable,
    handle: Callable[[list[Live[ItemT]]], Awaitable[Sequence[OutcomeT | Exception]]],
    items_max: int = ITEMS_MAX,
) -> list[OutcomeT | status_pb2.Status]:
    """One outcome or status an item, in the items' order.

    Opens one span an item under the item's own traceparent, refuses items whose time is up,
    and calls `handle` once with the others; it answers an outcome or an exception for each. An
    exception that `handle` raises is every live item's.

    Raises: InvalidFields (ITEMS_INVALID) when there are no items or too many.
    """
    call = current_call()
    call.item_count = len(items)
    if not 1 <= len(items) <= items_max:
        raise InvalidFields(
            "ITEMS_INVALID",
            FieldViolation("items", f"takes 1 to {items_max} items, got {len(items)}"),
            metadata={"itemCount": str(len(items)), "itemCountMax": str(items_max)},
        )
    answers: list[OutcomeT | status_pb2.Status | None] = [None] * len(items)
    live: list[Live[ItemT]] = []
    places: list[int] = []
    for place, item in enumerate(items):
        span = call.telemetry.start(span_name, item.traceparent, SpanKind.SERVER)
        deadline = (
            call.deadline.sooner(item.timeout_ms / 1000) if item.timeout_ms > 0 else call.deadline
        )
        if item.timeout_ms < 0 or deadline.passed:
            answers[place] = errors.to_status(DeadlinePassed())
            mark_failed(span, "DEADLINE_EXCEEDED")
            span.end()
            continue
        live.append(Live(item, deadline, span))
        places.append(place)
    try:
        outcomes = await _handle_all(handle, live)
        for place, each, outcome in zip(places, live, outcomes, strict=True):
            if isinstance(outcome, Exception):
                answers[place] = errors.to_status(outcome)
                mark_failed(each.span, _kind_of(outcome))
            else:
                answers[place] = outcome
    finally:
        for each in live:
            each.span.end()
    return [answer for answer in answers if answer is not None]


async def _handle_all(
    handle: Callable[[list[Live[ItemT]]], Awaitable[Sequence[OutcomeT | Exception]]],
    live: list[Live[ItemT]],
) -> Sequence[OutcomeT | Exception]:
    if not live:
        return []
    try:
        return await handle(live)
    except Exception as error:
        return [error] * len(live)


def _kind_of(error: Exception) -> str:
    return str(error) if isinstance(error, StatusError) else type(error).__name__
