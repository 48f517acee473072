"""Makes a call to the store harmless: a time limit, and a breaker around all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.cache.breaker import Breaker
from services.cache.link import Command, Link
from services.cache.store import StoreUnavailable

ResultT = TypeVar("ResultT")

# Told None when the store is well, else why it is not.
Report = Callable[[str | None], None]


class Guard:
    """Every call ends within its limit, and a store that is away is not asked."""

    def __init__(self, breaker: Breaker, report: Report) -> None:
        self._breaker = breaker
        self._report = report

    async def call(self, call: Callable[[], Awaitable[ResultT]], seconds_max: float) -> ResultT:
        """What `call` brings. Raises StoreUnavailable."""
        if not self._breaker.admits():
            raise StoreUnavailable("BreakerOpen")
        try:
            async with asyncio.timeout(seconds_max):
                result = await call()
        except TimeoutError:
            raise self._failed("Timeout") from None
        except StoreUnavailable as error:
            raise self._failed(error.why) from None
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        self._report(None)
        return result

    def _failed(self, why: str) -> StoreUnavailable:
        self._breaker.failed()
        if not self._breaker.closed:
            self._report(why)
        return StoreUnavailable(why)


class GuardedLink:
    """A link behind a guard; `seconds_max` for a whole round trip."""

    def __init__(self, link: Link, guard: Guard, *, seconds_max: float) -> None:
        self._link = link
        self._guard = guard
        self._seconds_max = seconds_max

    async def run(self, commands: Sequence[Command]) -> list[object]:
        """As the port says."""
        return await self._guard.call(lambda: self._link.run(commands), self._seconds_max)
