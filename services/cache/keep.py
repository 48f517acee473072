"""Keeps answers that are worth it, a batch in one round trip."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf import duration_pb2
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import stored_pb2
from spendgate.chat.v1 import chat_pb2

from chassis.errors import FieldViolation, InvalidFields
from services.cache import places
from services.cache.catalogue import listed
from services.cache.checks import check_store
from services.cache.errors import AnswerTooLarge, AnswerUnfinished, QuotaExceeded, TtlInvalid
from services.cache.fingerprint import scope_tag
from services.cache.leases import Wanted, renewal
from services.cache.near.index import Member, Partition
from services.cache.near.search import Search
from services.cache.quota import Quota, Standing
from services.cache.record import Recorder
from services.cache.store import AnswerStore, Entry, StoreUnavailable
from services.cache.value import Codec

_log = logging.getLogger("spendgate.cache.keep")

TTL_SECONDS_MAX = 90 * 24 * 3600
# A scope's listings outlive its last answer.
IDLE_MS = (TTL_SECONDS_MAX + 24 * 3600) * 1000
CHOICES_MAX = 16
USERS_MAX = 16
NANOS = 10**9  # in a second


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was stored, for `ttl_ms`; it lapses at `expire_time_ms` since 1970."""

    ttl_ms: int
    expire_time_ms: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's bounds. `users_min` distinct users must bring an entry before others are
    served it; 1 serves at once."""

    answer_bytes_max: int
    users_min: int = 1


@dataclass(frozen=True, slots=True)
class _Ready:
    """An item on its way to the store."""

    item: pb.StoreItem
    entry: Entry
    stored: stored_pb2.StoredEntry
    kept: Kept
    member: Member | None = None
    semantic_expire_ms: int = 0


@dataclass(slots=True)
class Keep:
    """The verb Store. `ttl_seconds` gives each class its time; `now_ms` is the wall clock."""

    store: AnswerStore
    codec: Codec
    quota: Quota
    recorder: Recorder
    limits: Limits
    ttl_seconds: Mapping[int, int]
    now_ms: Callable[[], int]
    search: Search | None = field(default=None)

    async def keep(self, items: Sequence[pb.StoreItem]) -> list[Kept | Exception]:
        """One outcome an item, in order.

        An item's exception: InvalidFields, AnswerUnfinished, AnswerTooLarge, TtlInvalid,
        QuotaExceeded, StoreUnavailable. Raises StoreUnavailable when the store did not answer at
        all.
        """
        now_ms = self.now_ms()
        checked: list[Exception | None] = [_problem(item, self.limits) for item in items]
        good = [item for item, bad in zip(items, checked, strict=True) if bad is None]
        standings = iter(await self.quota.standings(good, now_ms))
        outcomes: list[Kept | Exception | _Ready] = []
        for item, bad in zip(items, checked, strict=True):
            if bad is not None:
                outcomes.append(bad)
                continue
            try:
                outcomes.append(self._ready(item, next(standings), now_ms))
            except (InvalidFields, TtlInvalid, QuotaExceeded) as error:
                outcomes.append(error)
        ready = [each for each in outcomes if isinstance(each, _Ready)]
        if ready:
            refusals = await self.store.put_many([each.entry for each in ready])
            await self._finish([r for r, bad in zip(ready, refusals, strict=True) if bad is None])
            given = iter(refusals)
            return [
                (next(given) or each.kept) if isinstance(each, _Ready) else each
                for each in outcomes
            ]
        return [each for each in outcomes if not isinstance(each, _Ready)]

    def _ready(self, item: pb.StoreItem, standing: Standing, now_ms: int) -> _Ready:
        if standing.full:
            raise QuotaExceeded(self.quota.entries_max)
        ttl_ms = self._ttl_ms(item)
        expire_ms = now_ms + ttl_ms
        tag = scope_tag(item.scope.tenant, item.scope.project, item.scope.user)
        stored = self._stored(item, standing, expire_ms)
        where = places.entry(tag, item.key)
        beside = [
            *listed(item.scope, tag, item.key, expire_ms=expire_ms, now_ms=now_ms, idle_ms=IDLE_MS),
            *self.quota.noted(tag, item, expire_ms, IDLE_MS),
        ]
        if item.lease:
            beside.append(renewal(Wanted(tag, item.key, item.lease, 0)))
        value = self.codec.pack(where, stored, now_ms)
        entry = Entry(where, value, ttl_ms, tuple(beside))
        kept = Kept(ttl_ms, expire_ms)
        if not stored.HasField("semantic"):
            return _Ready(item, entry, stored, kept)
        semantic_ms = _own_ms(item, "semantic_ttl", self._class_ms(pb.TTL_CLASS_SEMANTIC))
        member = Member(Partition(tag, stored.semantic.context), item.key)
        return _Ready(item, entry, stored, kept, member, now_ms + min(ttl_ms, semantic_ms))

    def _stored(
        self, item: pb.StoreItem, standing: Standing, expire_ms: int
    ) -> stored_pb2.StoredEntry:
        users = {*standing.users}
        if item.user:
            users.add(places.digest(item.user))
        stored = stored_pb2.StoredEntry(
            answer=item.answer,
            feature=item.feature,
            tags=sorted(set(item.tags)),
            model_asked=item.model_asked or item.answer.model,
            expire_time_ms=expire_ms,
            open=standing.open or self.limits.users_min <= 1 or len(users) >= self.limits.users_min,
        )
        if not stored.open:
            stored.users.extend(sorted(users)[:USERS_MAX])
        if self.search is not None and item.HasField("semantic"):
            stored.semantic.CopyFrom(item.semantic)
            stored.vector_model = self.search.model_version
        return stored

    async def _finish(self, kept: Sequence[_Ready]) -> None:
        """What follows a stored answer. It is kept whatever becomes of this."""
        for each in kept:
            self.recorder.kept(each.item.scope.tenant, each.stored)
        if self.search is None:
            return
        placed = [
            (each.member, each.stored.semantic.text, each.semantic_expire_ms)
            for each in kept
            if each.member is not None
        ]
        try:
            await self.search.place(placed)
        except StoreUnavailable as error:
            # Only the very same prompt finds them.
            _log.info("answers are not in the index", extra={"why": error.why})

    def _ttl_ms(self, item: pb.StoreItem) -> int:
        return _own_ms(item, "ttl", self._class_ms(item.ttl_class or pb.TTL_CLASS_EXACT))

    def _class_ms(self, kind: int) -> int:
        if kind not in self.ttl_seconds:
            raise InvalidFields(
                "TTL_INVALID", FieldViolation("ttl_class", "is no class this service knows")
            )
        return self.ttl_seconds[kind] * 1_000


def _own_ms(item: pb.StoreItem, name: str, default_ms: int) -> int:
    """The item's own time to live in ms, else the default. Raises TtlInvalid."""
    if not item.HasField(name):
        return default_ms
    ttl: duration_pb2.Duration = getattr(item, name)
    nanos = ttl.seconds * NANOS + ttl.nanos
    if not NANOS <= nanos <= TTL_SECONDS_MAX * NANOS:
        raise TtlInvalid(ttl.seconds, TTL_SECONDS_MAX)
    return nanos // 1_000_000


def _problem(item: pb.StoreItem, limits: Limits) -> Exception | None:
    """Why an item may not be kept."""
    try:
        check_store(item)
        _check_finished(item.answer, tool_calls_allowed=item.tool_calls_allowed)
    except (InvalidFields, AnswerUnfinished) as error:
        return error
    size = item.answer.ByteSize()
    if size > limits.answer_bytes_max:
        return AnswerTooLarge(size, limits.answer_bytes_max)
    return None


def _check_finished(answer: pb.Answer, *, tool_calls_allowed: bool) -> None:
    if not 1 <= len(answer.choices) <= CHOICES_MAX:
        wanted = f"takes 1 to {CHOICES_MAX} choices, got {len(answer.choices)}"
        raise InvalidFields("ANSWER_NOT_STORABLE", FieldViolation("answer.choices", wanted))
    good = {chat_pb2.FINISH_REASON_STOP}
    if tool_calls_allowed:
        good.add(chat_pb2.FINISH_REASON_TOOL_CALLS)
    for number, choice in enumerate(answer.choices):
        message = choice.message
        if message.tool_calls and not tool_calls_allowed:
            # Some providers end these with STOP. What a tool does may not be done twice.
            raise AnswerUnfinished("TOOL_CALLS")
        if choice.finish_reason not in good:
            raise AnswerUnfinished(_reason_name(choice.finish_reason))
        if not message.content and not message.parts and not message.tool_calls:
            field_name = f"answer.choices[{number}].message"
            raise InvalidFields("ANSWER_NOT_STORABLE", FieldViolation(field_name, "is empty"))


def _reason_name(reason: int) -> str:
    named = chat_pb2.FinishReason.DESCRIPTOR.values_by_number.get(reason)
    return str(named.name).removeprefix("FINISH_REASON_") if named else str(reason)
