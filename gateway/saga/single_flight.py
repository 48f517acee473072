"""Concurrent requests for the same answer make one call."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

from chassis.deadline import Deadline, DeadlinePassed

AnswerT = TypeVar("AnswerT")


class SingleFlight(Generic[AnswerT]):
    """One leader a key; who comes while it is under way waits for its answer.

    A leader that fails or goes away takes nobody with it: its failure may be its own (its budget,
    its deadline), so the first of those who waited becomes the leader.
    """

    def __init__(self) -> None:
        self._flights: dict[bytes, asyncio.Future[AnswerT | None]] = {}

    async def join(
        self,
        key: bytes,
        lead: Callable[[], Awaitable[AnswerT]],
        deadline: Deadline,
        waits: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> tuple[AnswerT, bool]:
        """The answer, and whether this caller led; `waits` is entered while it waits for another.

        Raises what `lead` raises; DeadlinePassed.
        """
        while (flight := self._flights.get(key)) is not None:
            try:
                with waits():
                    async with asyncio.timeout(max(0.0, deadline.left_seconds())):
                        answer = await asyncio.shield(flight)
            except TimeoutError:
                raise DeadlinePassed from None
            if answer is not None:
                return answer, False
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        answer = None
        try:
            answer = await lead()
            return answer, True
        finally:
            del self._flights[key]
            flight.set_result(answer)
