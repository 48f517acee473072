"""Runs the day: a few callers, each session in order, repeats after their originals."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from cli.demo_call import Ask, Manner, Turn, make_ask
from cli.demo_outcome import Outcome
from cli.demo_rows import Day, Row, dependencies
from cli.demo_schedule import Schedule

# One provider call keeps one core busy; the second caller keeps the fleet busy meanwhile.
CALLERS = 2

Send = Callable[[Ask], Awaitable[Outcome]]
Tell = Callable[[Outcome], None]


class DayRun:
    """One run of a day. `send` puts a request to the gateway, `tell` hears of each end."""

    def __init__(
        self, day: Day, send: Send, *, manner: Manner, tell: Tell, callers: int = CALLERS
    ) -> None:
        self._day = day
        self._send = send
        self._manner = manner
        self._tell = tell
        self._callers = callers
        self._schedule = Schedule(day.rows, dependencies(day.rows))
        self._talks: dict[str, list[Turn]] = {}
        self._outcomes: dict[str, Outcome] = {}

    async def run(self) -> list[Outcome]:
        """The outcomes in the day's order. Cancelled: calls under way are cancelled too."""
        running: dict[asyncio.Task[Outcome], Row] = {}
        try:
            while running or not self._schedule.finished:
                while len(running) < self._callers and (rows := self._schedule.take()):
                    for row in rows:
                        running[asyncio.create_task(self._one(row))] = row
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self._finish(running.pop(task), task.result())
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return [self._outcomes[row.id] for row in self._day.rows]

    async def _one(self, row: Row) -> Outcome:
        history: Sequence[Turn] = self._talks.get(row.session, []) if row.turn else []
        system = self._day.prompts[row.system]
        return await self._send(make_ask(row, system, history, self._manner))

    def _finish(self, row: Row, outcome: Outcome) -> None:
        self._outcomes[row.id] = outcome
        if row.turn and outcome.answer:
            self._talks.setdefault(row.session, []).append(Turn(row.text, outcome.answer))
        self._schedule.done(row)
        self._tell(outcome)
