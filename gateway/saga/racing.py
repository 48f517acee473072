"""Two calls at once: the first that is good wins."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

PieceT = TypeVar("PieceT")


async def first_done(
    tasks: Iterable["asyncio.Task[Any]"], good: Callable[["asyncio.Task[Any]"], bool]
) -> "asyncio.Task[Any] | None":
    """The first task that ends well, None when none does. Raises what a task raises, once no
    other can do better."""
    waiting = set(tasks)
    failed: BaseException | None = None
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if (error := task.exception()) is not None:
                failed = error
            elif good(task):
                return task
    if failed is not None:
        raise failed
    return None


class Pump(Generic[PieceT]):
    """Reads an async generator in a task of its own, one piece ahead.

    The generator begins, goes on and is closed in that task, whoever takes its pieces.
    """

    def __init__(self, source: AsyncGenerator[PieceT, None]) -> None:
        self._source = source
        self._pieces: asyncio.Queue[PieceT | None] = asyncio.Queue(maxsize=1)
        self._error: Exception | None = None
        self._task = asyncio.create_task(self._run())

    async def next(self) -> PieceT | None:
        """The next piece, None after the last. Raises what the generator raises."""
        piece = await self._pieces.get()
        if piece is None and self._error is not None:
            raise self._error
        return piece

    async def stop(self) -> None:
        """Closes the generator. Nothing it raises comes out."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async with aclosing(self._source) as pieces:
                async for piece in pieces:
                    await self._pieces.put(piece)
        except Exception as error:
            # For whoever comes for the next piece.
            self._error = error
        await self._pieces.put(None)
