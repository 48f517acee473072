"""The gateway's use of the cache: looking up, keeping, and one call for all replicas."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from catalog.caching import CachingMode, TtlClassName
from catalog.fleet import Fleet
from catalog.price import cost_nanos
from catalog.prices import UnknownModel, Unpriced
from catalog.usage import BUCKETS, Usage
from chassis.deadline import Deadline
from chassis.errors import FieldViolation, InvalidFields, RemoteError
from gateway.door import Identity
from gateway.errors import from_service
from gateway.ports import Services
from gateway.saga.ask import Ask
from gateway.saga.books import Books
from gateway.saga.feedback import read_feedback_token
from gateway.settings import GatewaySettings

STORE_SECONDS_MAX = 2.0
RENEW_SECONDS_MAX = 1.0
REPORT_SECONDS_MAX = 5.0
# What an answer still has to do after it was waited for.
AWAIT_SECONDS_MARGIN = 0.05
# A lease is renewed so often within its life: two renewals may be lost.
RENEWALS = 3
TOKENS_KEPT_MAX = 4_096
TAGS_KEPT_MAX = 16
TAG_BYTES_MAX = 200

_TTL_CLASSES = {
    TtlClassName.EXACT: cache_pb.TTL_CLASS_EXACT,
    TtlClassName.SEMANTIC: cache_pb.TTL_CLASS_SEMANTIC,
    TtlClassName.STATIC: cache_pb.TTL_CLASS_STATIC,
}
_VERDICTS = {
    pb.VERDICT_GOOD: cache_pb.HIT_VERDICT_RIGHT,
    pb.VERDICT_BAD: cache_pb.HIT_VERDICT_WRONG,
    pb.VERDICT_STALE: cache_pb.HIT_VERDICT_STALE,
}


class Cached:
    """What the saga asks of the cache. Nothing of it ever fails a request."""

    def __init__(
        self,
        services: Services,
        books: Books,
        fleet: Fleet,
        *,
        settings: GatewaySettings,
        now: Callable[[], datetime],
    ) -> None:
        """`now` gives the time in UTC, for prices."""
        self._services = services
        self._books = books
        self._fleet = fleet
        self._settings = settings
        self._now = now
        # Leases this process got, by place: any of its requests for the same may lead.
        self._tokens: OrderedDict[bytes, str] = OrderedDict()

    async def look_up(self, ask: Ask, *, vector_wanted: bool) -> cache_pb.Finding:
        """What the cache knows. Raises only for a scope that the caller must mend."""
        if ask.cache_mode == pb.CACHE_MODE_OFF:
            return cache_pb.Finding(outcome=cache_pb.OUTCOME_NOT_CACHEABLE)
        semantic = _is_semantic(ask)
        seconds_max = (
            self._settings.cache_semantic_seconds_max
            if semantic
            else self._settings.cache_seconds_max
        )
        try:
            finding = await self._services.lookup(
                self._item(ask, semantic=semantic, vector_wanted=vector_wanted),
                ask.deadline.sooner(seconds_max),
            )
        except Exception as error:
            if isinstance(error, RemoteError) and error.reason == "SCOPE_INVALID":
                raise from_service("cache", error) from None
            return cache_pb.Finding(outcome=cache_pb.OUTCOME_BYPASSED)
        if ask.cache_mode == pb.CACHE_MODE_REFRESH:
            for name in ("answer", "similarity", "p_same", "entry_key", "store_time"):
                finding.ClearField(name)
            finding.outcome = cache_pb.OUTCOME_MISS
        if finding.lease:
            self._tokens[place_of(ask, finding)] = finding.lease
            if len(self._tokens) > TOKENS_KEPT_MAX:
                self._tokens.popitem(last=False)
        return finding

    @asynccontextmanager
    async def leading(self, ask: Ask) -> AsyncIterator[None]:
        """Holds the lease on this answer while the block runs, so that other replicas wait for it.

        Where another replica leads, waits for it first: ask.finding may be a hit then.
        """
        place = place_of(ask, ask.finding)
        token = ask.finding.lease or self._tokens.get(place, "")
        if not token and ask.finding.led_elsewhere:
            with ask.place.lent():
                await self._wait(ask)
            token = ask.finding.lease
        if not token:
            yield
            return
        ask.lease = token
        beat = asyncio.create_task(self._renew(ask, token))
        try:
            yield
        finally:
            beat.cancel()
            self._tokens.pop(place, None)
            if ask.lease:  # not handed over with the answer
                self._books.spawn(self._lease(ask, token, 0))

    def keep(
        self,
        ask: Ask,
        choices: Sequence[chat_pb2.Choice],
        model: str,
        usage: chat_pb2.TokenUsage,
    ) -> None:
        """Hands a finished answer to the cache, without waiting."""
        if ask.refitted:
            return  # an answer to less than was asked
        if not ask.finding.key or not _storable(choices, tool_calls=ask.caching.tool_calls):
            return
        policy = ask.caching
        item = cache_pb.StoreItem(
            traceparent=ask.traceparent,
            scope=ask.scope,
            key=ask.finding.key,
            answer=cache_pb.Answer(choices=choices, model=model, usage=usage),
            ttl_class=_TTL_CLASSES[policy.ttl_class],
            feature=ask.attribution.feature,
            tags=_tags(ask),
            user=ask.attribution.user,
            lease=ask.lease,
            tool_calls_allowed=policy.tool_calls,
            model_asked=ask.model,
        )
        if policy.ttl_seconds is not None:
            item.ttl.seconds = policy.ttl_seconds
        if policy.semantic_ttl_seconds is not None:
            item.semantic_ttl.seconds = policy.semantic_ttl_seconds
        if ask.finding.HasField("semantic"):
            item.semantic.CopyFrom(ask.finding.semantic)
        if (cost := self._cost_nanos(model, usage)) is not None:
            item.answer.cost_nanos = cost
        ask.lease = ""
        self._books.spawn(self._services.store(item, Deadline.after(STORE_SECONDS_MAX)))

    async def look_up_text(
        self, ask: Ask, prompt: chat_pb2.Prompt, batches: int
    ) -> cache_pb.Finding:
        """What the cache has for one text of an embedding; so many batches of them are under way.
        Raises only for a scope that the caller must mend."""
        item = cache_pb.LookupItem(
            traceparent=ask.traceparent,
            scope=ask.scope,
            model=ask.model,
            prompt=prompt,
            mode=cache_pb.LOOKUP_MODE_EXACT,
            feature=ask.attribution.feature,
            user=ask.attribution.user,
            dry_run=ask.cache_mode == pb.CACHE_MODE_REFRESH,
        )
        try:
            finding = await self._services.lookup(
                item, ask.deadline.sooner(self._settings.cache_seconds_max * batches)
            )
        except Exception as error:
            if isinstance(error, RemoteError) and error.reason == "SCOPE_INVALID":
                raise from_service("cache", error) from None
            return cache_pb.Finding(outcome=cache_pb.OUTCOME_BYPASSED)
        if ask.cache_mode == pb.CACHE_MODE_REFRESH:
            return cache_pb.Finding(outcome=cache_pb.OUTCOME_MISS, key=finding.key)
        return finding

    def keep_text(
        self, ask: Ask, key: str, choice: chat_pb2.Choice, model: str, usage: chat_pb2.TokenUsage
    ) -> None:
        """Hands one text's vector to the cache, without waiting."""
        item = cache_pb.StoreItem(
            traceparent=ask.traceparent,
            scope=ask.scope,
            key=key,
            answer=cache_pb.Answer(choices=[choice], model=model, usage=usage),
            # A model's vector of a text never changes.
            ttl_class=cache_pb.TTL_CLASS_STATIC,
            feature=ask.attribution.feature,
            tags=_tags(ask),
            user=ask.attribution.user,
            model_asked=ask.model,
        )
        if ask.caching.ttl_seconds is not None:
            item.ttl.seconds = ask.caching.ttl_seconds
        if (cost := self._cost_nanos(model, usage)) is not None:
            item.answer.cost_nanos = cost
        self._books.spawn(self._services.store(item, Deadline.after(STORE_SECONDS_MAX)))

    async def submit_feedback(
        self, request: pb.SubmitFeedbackRequest, identity: Identity
    ) -> pb.SubmitFeedbackResponse:
        """Tells the cache how a hit was. Raises: InvalidFields; ServiceUnavailable."""
        report = read_feedback_token(request.feedback_token, identity)
        verdict = _VERDICTS.get(request.verdict)
        if verdict is None:
            raise InvalidFields("REQUEST_INVALID", FieldViolation("verdict", "is required"))
        report.verdict = verdict
        report.judge = cache_pb.HIT_JUDGE_USER
        try:
            told = await self._services.report_wrong_hit(report, Deadline.after(REPORT_SECONDS_MAX))
        except Exception as error:
            raise from_service("cache", error) from None
        return pb.SubmitFeedbackResponse(removed=told.removed)

    def _item(self, ask: Ask, *, semantic: bool, vector_wanted: bool) -> cache_pb.LookupItem:
        policy = ask.caching
        item = cache_pb.LookupItem(
            traceparent=ask.traceparent,
            scope=ask.scope,
            model=ask.wishes.cached_as(ask.model),
            prompt=ask.prompt,
            mode=cache_pb.LOOKUP_MODE_SEMANTIC if semantic else cache_pb.LOOKUP_MODE_EXACT,
            explain=ask.cache_explain,
            vector_wanted=vector_wanted and semantic,
            feature=ask.attribution.feature,
            user=ask.attribution.user,
            wrong_hit_ppm_max=policy.wrong_hit_ppm_max,
            dry_run=ask.cache_mode == pb.CACHE_MODE_REFRESH,
        )
        if policy.temperature_max is not None:
            item.temperature_max = policy.temperature_max
        if not ask.streams and ask.cache_mode != pb.CACHE_MODE_REFRESH:
            item.lease_ms = self._settings.cache_lease_ms
        return item

    async def _wait(self, ask: Ask) -> None:
        request = cache_pb.AwaitRequest(
            scope=ask.scope,
            key=ask.finding.key,
            lease_ms=max(1, self._settings.cache_lease_ms),
            user=ask.attribution.user,
            feature=ask.attribution.feature,
        )
        left = max(AWAIT_SECONDS_MARGIN, ask.deadline.left_seconds() - AWAIT_SECONDS_MARGIN)
        try:
            found = await self._services.await_answer(request, Deadline.after(left))
        except Exception:
            return  # without a word from the cache, everybody calls for himself
        if ask.finding.HasField("semantic"):
            found.semantic.CopyFrom(ask.finding.semantic)
        ask.finding = found

    async def _renew(self, ask: Ask, token: str) -> None:
        pause_seconds = self._settings.cache_lease_ms / 1000 / RENEWALS
        while True:
            await asyncio.sleep(pause_seconds)
            await self._lease(ask, token, self._settings.cache_lease_ms)

    async def _lease(self, ask: Ask, token: str, lease_ms: int) -> None:
        item = cache_pb.LeaseItem(
            scope=ask.scope, key=ask.finding.key, lease=token, lease_ms=lease_ms
        )
        with contextlib.suppress(Exception):  # it lapses by itself
            await self._services.renew_lease(item, Deadline.after(RENEW_SECONDS_MAX))

    def _cost_nanos(self, model: str, usage: chat_pb2.TokenUsage) -> int | None:
        """What the answer cost, by the gateway's own arithmetic; None when it has no price."""
        try:
            price = self._fleet.book.price(model, self._now())
        except (UnknownModel, Unpriced):
            return None
        return cost_nanos(price, Usage(**{bucket: getattr(usage, bucket) for bucket in BUCKETS}))


def place_of(ask: Ask, finding: cache_pb.Finding) -> bytes:
    """Names an answer within this process."""
    return ask.scope.SerializeToString(deterministic=True) + finding.key.encode()


def _is_semantic(ask: Ask) -> bool:
    if ask.cache_mode == pb.CACHE_MODE_REFRESH:
        return ask.caching.mode is CachingMode.SEMANTIC
    return ask.cache_mode == pb.CACHE_MODE_SEMANTIC


def _storable(choices: Sequence[chat_pb2.Choice], *, tool_calls: bool) -> bool:
    good = {chat_pb2.FINISH_REASON_STOP}
    if tool_calls:
        good.add(chat_pb2.FINISH_REASON_TOOL_CALLS)
    return bool(choices) and all(
        choice.finish_reason in good and (tool_calls or not choice.message.tool_calls)
        for choice in choices
    )


def _tags(ask: Ask) -> list[str]:
    """The request's labels as name=value; what is too long for the cache is left out."""
    tags = (f"{name}={value}" for name, value in sorted(ask.attribution.tags.items()))
    return [tag for tag in tags if len(tag.encode()) <= TAG_BYTES_MAX][:TAGS_KEPT_MAX]
