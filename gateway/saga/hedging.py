"""A second call beside a slow one: whichever answers first is taken, the other cancelled.

Both are booked. The hold was taken for both (Steps.hold).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2

from catalog.resilience import HedgeConfig, LoserCharge
from chassis import names
from chassis.telemetry import mark_failed
from gateway.providers.port import ProviderAnswer
from gateway.saga import attempts
from gateway.saga.ask import Ask
from gateway.saga.hold import OwnedHold
from gateway.saga.line import ATTEMPTS_MAX, Chain, Line, Piece, Try, whom
from gateway.saga.racing import Pump, first_done
from gateway.upstreams.upstreams import Upstreams


class Hedging:
    """Makes a call, or two."""

    def __init__(
        self, line: Line, upstreams: Upstreams, config: HedgeConfig, new_id: Callable[[], str]
    ) -> None:
        self._line = line
        self._upstreams = upstreams
        self._config = config
        self._new_id = new_id

    async def called(
        self, ask: Ask, hold: OwnedHold, chain: Chain, first: Try
    ) -> tuple[Try, ProviderAnswer] | None:
        """The answer of `first`, or of a second call beside it. None: each has its error."""
        after = self._hedge_after(ask, chain, first)
        if after is None:
            return await self._line.called(ask, hold, chain, first)
        tasks = {asyncio.create_task(self._line.called(ask, hold, chain, first)): first}
        found: tuple[Try, ProviderAnswer] | None = None
        second: Try | None = None
        try:
            await asyncio.wait(tasks, timeout=after)
            if not any(task.done() for task in tasks):
                second = self._open_hedge(ask, hold, first)
            if second is not None:
                tasks[asyncio.create_task(self._line.called(ask, hold, chain, second))] = second
            done = await first_done(tasks, lambda task: task.result() is not None)
            found = done.result() if done is not None else None
            return found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if found is not None:
                for task, each in tasks.items():
                    whole = None if task.cancelled() or task.exception() else task.result()
                    used = whole[1].usage if whole is not None else None
                    self._beaten(ask, hold, found[0], each, used)
            elif second is not None and second.error is not None:
                self._line.note_failed(ask, hold, second)

    async def pieces(
        self, ask: Ask, hold: OwnedHold, chain: Chain, first: Try
    ) -> AsyncGenerator[tuple[Try, Piece], None]:
        """The pieces of `first`, or of a second call when that begins to answer earlier. None come
        when each failed before its first."""
        after = self._hedge_after(ask, chain, first)
        if after is None:
            async with aclosing(self._line.pieces(ask, hold, first)) as pieces:
                async for piece in pieces:
                    yield first, piece
            return
        pumps = {first.number: (first, Pump(self._line.pieces(ask, hold, first)))}
        begin = {asyncio.create_task(pumps[first.number][1].next()): first}
        try:
            await asyncio.wait(begin, timeout=after)
            if not any(task.done() for task in begin) and (
                second := self._open_hedge(ask, hold, first)
            ):
                pumps[second.number] = (second, Pump(self._line.pieces(ask, hold, second)))
                begin[asyncio.create_task(pumps[second.number][1].next())] = second
            done = await first_done(begin, lambda task: task.result() is not None)
            if done is None:
                for each in begin.values():
                    if each is not first:
                        self._line.note_failed(ask, hold, each)
                return
            winner = begin[done]
            for task, each in begin.items():
                if each is not winner:
                    task.cancel()
                    await pumps[each.number][1].stop()
                self._beaten(ask, hold, winner, each, None)
            taken: Piece | None = done.result()
            while taken is not None:
                yield winner, taken
                taken = await pumps[winner.number][1].next()
        finally:
            for task in begin:
                task.cancel()
            for _, pump in pumps.values():
                await pump.stop()

    def _hedge_after(self, ask: Ask, chain: Chain, first: Try) -> float | None:
        """When a second call begins. None: it does not."""
        if not chain.hedged or first.leave.permit.probe:
            return None
        return self._upstreams.hedge_after_seconds(
            first.candidate.provider,
            first.candidate.upstream_model,
            streams=ask.streams,
            asked=ask.hedge,
        )

    def _open_hedge(self, ask: Ask, hold: OwnedHold, first: Try) -> Try | None:
        """The second call beside a slow one, once a request. None: retries are used up."""
        if hold.hedged or hold.begun >= ATTEMPTS_MAX:
            return None
        if not self._upstreams.may_retry(first.candidate.provider, "hedge"):
            return None
        second = self._line.open(ask, hold, first.candidate, entry_pb2.ENTRY_KIND_HEDGE)
        if second is not None:
            hold.hedged = True
            ask.span.add_event(names.EVENT_HEDGED, whom(first.candidate))
        return second

    def _beaten(
        self,
        ask: Ask,
        hold: OwnedHold,
        winner: Try,
        loser: Try,
        used: chat_pb2.TokenUsage | None,
    ) -> None:
        """Books the other call of a race. Whichever began second, the slower one is the extra."""
        if loser is winner:
            return
        if loser.error is not None:
            self._line.note_failed(ask, hold, loser)
            if winner.kind == entry_pb2.ENTRY_KIND_HEDGE:
                winner.kind = entry_pb2.ENTRY_KIND_RETRY
            return
        hold.under_way.pop(loser.number, None)
        if winner.kind == entry_pb2.ENTRY_KIND_HEDGE:
            winner.kind = loser.kind
        charged = self._config.loser_charge is LoserCharge.PROMPT
        hold.attempts.append(
            attempts.overtaken(
                ask,
                loser.candidate,
                number=loser.number,
                entry_id=self._new_id(),
                used=used,
                prompt_charged=charged,
            )
        )
        mark_failed(loser.span, attempts.OVERTAKEN)
