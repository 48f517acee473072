"""Lets lapsed holds go where no command does it, and finds out whether the database is there.

It also makes the months of the entries ahead of their time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from chassis.health import Part
from services.ledger.rules.refusals import BooksUnavailable

MONTHS_SECONDS = 3600.0

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


async def keep_months_for_ever(
    make: Callable[[], Awaitable[object]], *, seconds: float = MONTHS_SECONDS
) -> None:
    """Makes what is missing every `seconds`. Failing harms nobody at once: months are made ahead,
    and there is a partition for what has none."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await make()
        except Exception as error:
            _log.warning("months cannot be made", extra={"error_type": type(error).__name__})
