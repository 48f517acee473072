"""Tells health how the outbox is doing: full it may not get, and nothing in it may grow old."""

import asyncio

from chassis.health import Part
from gateway.outbox.outbox import Outbox, OutboxState

LOOK_SECONDS = 2.0
# Older than this, what waits is no passing hiccup of the ledger.
AGE_SECONDS_MAX = 30.0


async def watch(outbox: Outbox, part: Part) -> None:
    """Works until it is cancelled."""
    while True:
        tell(outbox.state(), has_room=outbox.has_room(1), part=part)
        await asyncio.sleep(LOOK_SECONDS)


def tell(state: OutboxState, *, has_room: bool, part: Part) -> None:
    """One look. Without room the gateway must not take requests: nothing could be booked."""
    if not has_room:
        part.failed(f"full: {state.records} bookings wait for the ledger")
    elif state.parked_bytes:
        part.degraded("bookings the ledger refused are parked; the log has their ids")
    elif state.oldest_seconds > AGE_SECONDS_MAX:
        part.degraded(f"bookings wait for the ledger for over {AGE_SECONDS_MAX:.0f} s")
    else:
        part.ok()
