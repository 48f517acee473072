"""One call a key: the first does the work, whoever comes with it again gets what came of it.

The work is the key's, not its caller's: it goes on when the caller goes away or its time is up, so
that the next try finds the answer instead of paying for a second. What came of it is kept before
it is told. When the store cannot be asked, nothing is done: whoever asked for once must not get
twice. When it goes away later, the answer is told and keeping it is tried for a while.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from google.rpc import status_pb2
from spendgate.cache.v1 import idempotency_pb2 as cache_pb
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import ErrorTable, StatusError
from gateway.door import Identity
from gateway.errors import IdempotencyAnswerLost, IdempotencyMismatch, from_service
from gateway.idempotency.record import (
    AnyRequest,
    as_stream,
    body_hash,
    is_kept,
    packed,
    packed_failure,
    unpacked,
)
from gateway.idempotency.store import OnceStore, new_token
from gateway.providers.join import AnswerJoiner

_log = logging.getLogger("gateway.idempotency")

LEASE_MS = 10_000
# A claim is renewed so often within its life: two renewals may be lost.
RENEWALS = 3
STORE_SECONDS_MAX = 2.0
# Between two looks at a key that somebody else works on: short at first, then longer.
LOOK_SECONDS_MIN = 0.02
LOOK_SECONDS_MAX = 0.5
# How long and how often an answer that was told already is offered to a store that is away.
KEEP_TRIES = 5
KEEP_PAUSE_SECONDS = 1.0
DRAIN_SECONDS_MAX = 8.0

Events = AsyncGenerator[pb.StreamCompleteResponse, None]
# Does the work, within a time of its own.
Work = Callable[[Deadline], Awaitable[pb.CompleteResponse]]
StreamWork = Callable[[Deadline], Events]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A key and the body it came with, for one attempt to work on it."""

    place: cache_pb.IdempotencyPlace
    body_hash: str
    token: str


class Once:
    """Idempotency keys of all gateways that share the store."""

    def __init__(
        self,
        store: OnceStore,
        errors: ErrorTable,
        *,
        hash_key: bytes,
        kept_seconds: int,
        work_seconds_max: float,
    ) -> None:
        """`hash_key` must be the same on every gateway. An answer is told again for
        `kept_seconds`; work may take `work_seconds_max`, whatever time its caller has."""
        self._store = store
        self._errors = errors
        self._hash_key = hash_key
        self._kept_seconds = kept_seconds
        self._work_seconds_max = work_seconds_max
        self._tasks: set[asyncio.Task[Any]] = set()

    def take_over(self, work_seconds_max: float) -> None:
        """Work that begins from now on may take so long."""
        self._work_seconds_max = work_seconds_max

    async def complete(
        self, request: pb.CompleteRequest, identity: Identity, deadline: Deadline, work: Work
    ) -> pb.CompleteResponse:
        """What `work` brings, or brought before.

        Raises: what it raises, or raised before; IdempotencyMismatch; ServiceUnavailable;
        DeadlinePassed.
        """
        claim, known = await self._claimed(request, identity, deadline)
        if known is not None:
            return known
        task = self._spawn(self._worked(claim, work))
        answer: pb.CompleteResponse = await _within(task, deadline)
        return answer

    async def stream(
        self, request: pb.StreamCompleteRequest, identity: Identity, deadline: Deadline,
        work: StreamWork,
    ) -> Events:  # fmt: skip
        """The same, piece by piece; what is told again comes whole."""
        claim, known = await self._claimed(request, identity, deadline)
        if known is not None:
            for event in as_stream(known):
                yield event
            return
        # As large as one answer at most: it is kept whole anyway.
        events: asyncio.Queue[pb.StreamCompleteResponse | None] = asyncio.Queue()
        task = self._spawn(self._streamed(claim, work, events))
        while (event := await _within(asyncio.ensure_future(events.get()), deadline)) is not None:
            yield event
        await task

    async def drain(self) -> None:
        """Waits for work under way."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=DRAIN_SECONDS_MAX)

    async def close(self) -> None:
        """Lets go of the store."""
        await self._store.close()

    async def _claimed(
        self, request: AnyRequest, identity: Identity, deadline: Deadline
    ) -> tuple[_Claim, pb.CompleteResponse | None]:
        """The claim, and the answer when there is one; waits while somebody else is at it."""
        place = cache_pb.IdempotencyPlace(
            tenant=identity.tenant, caller=identity.key_id, key=request.options.idempotency_key
        )
        claim = _Claim(place, await body_hash(request, self._hash_key), new_token())
        pause = LOOK_SECONDS_MIN
        while True:
            response = await self._ask(claim, deadline)
            match response.state:
                case cache_pb.CLAIM_STATE_CLAIMED:
                    return claim, None
                case cache_pb.CLAIM_STATE_ANSWERED:
                    return claim, unpacked(response.answer)
                case cache_pb.CLAIM_STATE_MISMATCH:
                    raise IdempotencyMismatch
            if pause >= deadline.left_seconds():
                raise DeadlinePassed
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOOK_SECONDS_MAX)

    async def _ask(self, claim: _Claim, deadline: Deadline) -> cache_pb.ClaimResponse:
        request = cache_pb.ClaimRequest(
            place=claim.place, body_hash=claim.body_hash, token=claim.token, lease_ms=LEASE_MS
        )
        try:
            return await self._store.claim(request, deadline.sooner(STORE_SECONDS_MAX))
        except Exception as error:
            if isinstance(error, DeadlinePassed) and deadline.passed:
                raise
            raise from_service("cache", error) from None

    async def _worked(self, claim: _Claim, work: Work) -> pb.CompleteResponse:
        async with self._renewing(claim):
            try:
                answer = await work(Deadline.after(self._work_seconds_max))
            except Exception as error:
                raise await self._failed(claim, error) from error
            await self._keep(claim, self._to_keep(answer))
            return answer

    async def _streamed(
        self, claim: _Claim, work: StreamWork, events: "asyncio.Queue[Any]"
    ) -> None:
        so_far = AnswerJoiner()
        try:
            async with (
                self._renewing(claim),
                aclosing(work(Deadline.after(self._work_seconds_max))) as pieces,
            ):
                try:
                    async for event in pieces:
                        if event.WhichOneof("event") == "delta":
                            so_far.add(event.delta)
                        else:
                            choices = so_far.choices()
                            whole = pb.CompleteResponse(choices=choices, summary=event.summary)
                            await self._keep(claim, self._to_keep(whole))
                        events.put_nowait(event)
                except Exception as error:
                    raise await self._failed(claim, error) from error
        finally:
            events.put_nowait(None)

    async def _failed(self, claim: _Claim, error: Exception) -> StatusError:
        """Keeps a failure, or gives the key back where nothing had been begun."""
        status = self._errors.to_status(error)
        await self._keep(claim, packed_failure(status) if is_kept(status) else b"")
        return StatusError(status)

    def _to_keep(self, answer: pb.CompleteResponse) -> bytes:
        return packed(answer) or packed_failure(self._lost())

    def _lost(self) -> status_pb2.Status:
        return self._errors.to_status(IdempotencyAnswerLost())

    async def _keep(self, claim: _Claim, answer: bytes) -> None:
        """Tries once before the answer is told; if that fails, goes on beside it."""
        if not await self._kept(claim, answer):
            self._spawn(self._keep_later(claim, answer))

    async def _keep_later(self, claim: _Claim, answer: bytes) -> None:
        async with self._renewing(claim):
            for _ in range(KEEP_TRIES):
                await asyncio.sleep(KEEP_PAUSE_SECONDS)
                if await self._kept(claim, answer):
                    return
        _log.error("an answer is not kept for its idempotency key")

    async def _kept(self, claim: _Claim, answer: bytes) -> bool:
        request = cache_pb.FinishRequest(
            place=claim.place,
            body_hash=claim.body_hash,
            token=claim.token,
            answer=answer,
            ttl_seconds=self._kept_seconds,
        )
        try:
            mine = await self._store.finish(request, Deadline.after(STORE_SECONDS_MAX))
        except Exception as error:
            _log.warning("store of idempotency keys", extra={"error_type": type(error).__name__})
            return False
        if not mine:
            _log.warning("an idempotency key was taken by another gateway meanwhile")
        return True

    @asynccontextmanager
    async def _renewing(self, claim: _Claim) -> AsyncIterator[None]:
        """Keeps the claim alive while the block runs."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_MS / 1000 / RENEWALS)
                with contextlib.suppress(Exception):  # the next one may do
                    await self._ask(claim, Deadline.after(STORE_SECONDS_MAX))

        beat = asyncio.create_task(renew())
        try:
            yield
        finally:
            beat.cancel()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        # Seen here: a caller that went away does not ask for it.
        if not task.cancelled():
            task.exception()


async def _within(task: "asyncio.Future[Any]", deadline: Deadline) -> Any:
    """The task's result within the caller's time; the task itself goes on after it."""
    try:
        async with asyncio.timeout(max(0.0, deadline.left_seconds())):
            return await asyncio.shield(task)
    except TimeoutError:
        raise DeadlinePassed from None
