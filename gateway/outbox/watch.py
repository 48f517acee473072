"""Tells health how the outbox is doing: full it may not get, and nothing in it may grow old."""

import asyncio

from opentelemetry import metrics

from chassis import names
from chassis.health import Part
from gateway.outbox.outbox import Outbox, OutboxState

LOOK_SECONDS = 2.0
# Older than this, what waits is no passing hiccup of the ledger.
AGE_SECONDS_MAX = 30.0

_meter = metrics.get_meter("spendgate")
_waiting = _meter.create_gauge(
    names.METRIC_OUTBOX_WAITING, unit="{booking}", description="Bookings that wait on disk."
)
_oldest = _meter.create_gauge(
    names.METRIC_OUTBOX_OLDEST, unit="s", description="Age of the oldest booking that waits."
)
_parked = _meter.create_gauge(
    names.METRIC_OUTBOX_PARKED, unit="By", description="Bookings the ledger refused, in bytes."
)


async def watch(outbox: Outbox, part: Part) -> None:
    """Works until it is cancelled."""
    while True:
        tell(outbox.state(), has_room=outbox.has_room(1), part=part)
        await asyncio.sleep(LOOK_SECONDS)


def tell(state: OutboxState, *, has_room: bool, part: Part) -> None:
    """One look. Without room the gateway must not take requests: nothing could be booked."""
    _waiting.set(state.records)
    _oldest.set(state.oldest_seconds)
    _parked.set(state.parked_bytes)
    if not has_room:
        part.failed(f"full: {state.records} bookings wait for the ledger")
    elif state.parked_bytes:
        part.degraded("bookings the ledger refused are parked; the log has their ids")
    elif state.oldest_seconds > AGE_SECONDS_MAX:
        part.degraded(f"bookings wait for the ledger for over {AGE_SECONDS_MAX:.0f} s")
    else:
        part.ok()
