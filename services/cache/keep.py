"""Keeps answers that are worth it, a batch in one round trip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from chassis.errors import FieldViolation, InvalidFields
from services.cache.checks import check_store
from services.cache.errors import AnswerTooLarge, AnswerUnfinished, TtlInvalid
from services.cache.fingerprint import place, scope_tag
from services.cache.store import AnswerStore, Entry
from services.cache.value import pack

TTL_SECONDS_MAX = 90 * 24 * 3600
CHOICES_MAX = 16
NANOS = 10**9  # in a second


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was stored, for `ttl_ms`; it lapses at `expire_time_ms` since 1970."""

    ttl_ms: int
    expire_time_ms: int


class Keep:
    """The verb Store. `ttl_seconds` gives each class its time; `now_ms` is the wall clock."""

    def __init__(
        self,
        store: AnswerStore,
        *,
        ttl_seconds: Mapping[int, int],
        answer_bytes_max: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._ttl_seconds = ttl_seconds
        self._answer_bytes_max = answer_bytes_max
        self._now_ms = now_ms

    async def keep(self, items: Sequence[pb.StoreItem]) -> list[Kept | Exception]:
        """One outcome an item, in order.

        An item's exception: InvalidFields, AnswerUnfinished, AnswerTooLarge, TtlInvalid,
        StoreUnavailable. Raises StoreUnavailable when the store did not answer at all.
        """
        now_ms = self._now_ms()
        outcomes: list[Kept | Exception] = []
        entries: list[Entry] = []
        for item in items:
            try:
                entry = self._entry(item, now_ms)
            except (InvalidFields, AnswerUnfinished, AnswerTooLarge, TtlInvalid) as error:
                outcomes.append(error)
                continue
            entries.append(entry)
            outcomes.append(Kept(entry.ttl_ms, now_ms + entry.ttl_ms))
        if not entries:
            return outcomes
        refusals = iter(await self._store.put_many(entries))
        return [
            outcome if isinstance(outcome, Exception) else next(refusals) or outcome
            for outcome in outcomes
        ]

    def _entry(self, item: pb.StoreItem, now_ms: int) -> Entry:
        check_store(item)
        _check_finished(item.answer)
        size = item.answer.ByteSize()
        if size > self._answer_bytes_max:
            raise AnswerTooLarge(size, self._answer_bytes_max)
        ttl_ms = self._ttl_ms(item)
        where = place(scope_tag(item.scope.tenant, item.scope.project, item.scope.user), item.key)
        return Entry(where, pack(where, item.answer, now_ms), ttl_ms)

    def _ttl_ms(self, item: pb.StoreItem) -> int:
        if item.HasField("ttl"):
            nanos = item.ttl.seconds * NANOS + item.ttl.nanos
            if not NANOS <= nanos <= TTL_SECONDS_MAX * NANOS:
                raise TtlInvalid(item.ttl.seconds, TTL_SECONDS_MAX)
            return nanos // 1_000_000
        kind = item.ttl_class or pb.TTL_CLASS_EXACT
        if kind not in self._ttl_seconds:
            raise InvalidFields(
                "TTL_INVALID", FieldViolation("ttl_class", "is no class this service knows")
            )
        return self._ttl_seconds[kind] * 1_000


def _check_finished(answer: pb.Answer) -> None:
    if not 1 <= len(answer.choices) <= CHOICES_MAX:
        wanted = f"takes 1 to {CHOICES_MAX} choices, got {len(answer.choices)}"
        raise InvalidFields("ANSWER_NOT_STORABLE", FieldViolation("answer.choices", wanted))
    for number, choice in enumerate(answer.choices):
        if choice.message.tool_calls:
            # Some providers end these with STOP. What a tool does may not be done twice.
            raise AnswerUnfinished("TOOL_CALLS")
        if choice.finish_reason != chat_pb2.FINISH_REASON_STOP:
            raise AnswerUnfinished(_reason_name(choice.finish_reason))
        if not choice.message.content and not choice.message.parts:
            field = f"answer.choices[{number}].message"
            raise InvalidFields("ANSWER_NOT_STORABLE", FieldViolation(field, "is empty"))


def _reason_name(reason: int) -> str:
    named = chat_pb2.FinishReason.DESCRIPTOR.values_by_number.get(reason)
    return str(named.name).removeprefix("FINISH_REASON_") if named else str(reason)
