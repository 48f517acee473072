"""Sends what the outbox was handed, until the ledger has it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from enum import Enum

from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from gateway.outbox.outbox import Item, Outbox, Waiting

_log = logging.getLogger("gateway.outbox.outbox")

# Sent together, so that they travel together; the next ones when all of these have an answer.
BATCH_RECORDS_MAX = 64
BACKOFF_SECONDS = 0.1
BACKOFF_SECONDS_MAX = 10.0
# How often to look for records whose owner never came back.
_LOOK_SECONDS = 5.0


class Refused(Exception):
    """The ledger refused a record for good. `reason` is its upper-case word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# Books one item. Raises Refused when that can never work; any other error means: later.
Deliver = Callable[[Item], Awaitable[object]]


class _Outcome(Enum):
    DONE = 1
    LATER = 2


class Relay:
    """Delivers handed-over records in their order."""

    def __init__(
        self, outbox: Outbox, deliver: Deliver, chance: Callable[[], float] = random.random
    ) -> None:
        """`chance` gives numbers from 0 to 1, for the jitter."""
        self._outbox = outbox
        self._deliver = deliver
        self._chance = chance

    async def run(self) -> None:
        """Works until it is cancelled."""
        failures = 0
        while True:
            # While the ledger is away the oldest record knocks, then one more each time: one that
            # fails for reasons of its own must not keep the others out.
            batch = self._outbox.due(min(failures or BATCH_RECORDS_MAX, BATCH_RECORDS_MAX))
            if not batch:
                await self._outbox.until_handed_over(_LOOK_SECONDS)
                continue
            outcomes = await asyncio.gather(*map(self._send, batch))
            if _Outcome.DONE in outcomes:
                failures = 0
                self._put_off(batch, outcomes)
            else:
                failures += 1
                await asyncio.sleep(self._pause_seconds(failures))

    def _put_off(self, batch: list[Waiting], outcomes: list[_Outcome]) -> None:
        """A record that fails while its neighbours pass must not hold up those behind it."""
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if outcome is _Outcome.LATER:
                waiting.failures += 1
                self._outbox.delay(waiting, self._pause_seconds(waiting.failures))

    def _pause_seconds(self, failures: int) -> float:
        """Exponential backoff with full jitter."""
        ceiling: float = BACKOFF_SECONDS * 2 ** min(failures - 1, 16)
        return min(ceiling, BACKOFF_SECONDS_MAX) * self._chance()

    async def _send(self, waiting: Waiting) -> _Outcome:
        position = waiting.frame.position
        item = waiting.item
        try:
            if item is None:
                raise Refused("UNREADABLE")
            await self._deliver(item)
        except Refused as refused:
            return await self._park(waiting, refused.reason)
        except Exception as error:
            _log.info(
                "outbox record not delivered",
                extra={"position": position, "error_type": type(error).__name__},
            )
            return _Outcome.LATER
        self._outbox.ack(position)
        return _Outcome.DONE

    async def _park(self, waiting: Waiting, reason: str) -> _Outcome:
        told = {"position": waiting.frame.position, "reason": reason, **_ids_of(waiting.item)}
        try:
            parked = await self._outbox.park(waiting.frame.position)
        except OSError as error:
            _log.error("outbox record not parked", extra={**told, "errno": error.errno})
            return _Outcome.LATER
        if not parked:
            _log.error("outbox has no room to park", extra=told)
            return _Outcome.LATER
        _log.error("outbox record parked: refused for good", extra=told)
        return _Outcome.DONE


def _ids_of(item: Item | None) -> dict[str, object]:
    """What tells the record apart in a log, and nothing a caller wrote."""
    match item:
        case ledger_pb.SettleItem():
            entries = [attempt.entry_id for attempt in item.attempts]
            return {"hold_id": item.hold_id, "entry_ids": entries}
        case ledger_pb.ReleaseItem():
            return {"hold_id": item.hold_id}
        case ledger_pb.RecordItem():
            return {"request_id": item.request_id, "entry_ids": [item.attempt.entry_id]}
    return {}
