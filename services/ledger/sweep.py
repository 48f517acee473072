"""Lets lapsed holds go where no command does it, and finds out whether the database is there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from chassis.health import Part
from services.ledger.rules.refusals import BooksUnavailable

_log = logging.getLogger("ledger.sweep")


async def sweep_for_ever(
    sweep: Callable[[], Awaitable[object]], part: Part, *, seconds: float
) -> None:
    """Sweeps every `seconds`; `part` is well as long as that succeeds."""
    while True:
        try:
            await sweep()
            part.ok()
        except BooksUnavailable:
            part.failed("the database does not answer")
        except Exception as error:
            _log.error("sweep failed", extra={"error_type": type(error).__name__})
            part.failed("lapsed holds cannot be let go")
        await asyncio.sleep(seconds)
