"""Which batch call may begin: few at once, and none while others have much to do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from catalog.batching import BatchConfig

LOOK_SECONDS = 0.05


class Gate:
    """The ordinary calls of all jobs of a gateway pass it."""

    def __init__(self, config: BatchConfig, others: Callable[[], int]) -> None:
        """`others`: ordinary requests under way."""
        self._config = config
        self._others = others
        self._places = asyncio.Semaphore(config.calls_max)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A call may be made while the block runs."""
        async with self._places:
            # Requests end without a word to us.
            while self._others() >= self._config.yield_above_calls:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
            yield
