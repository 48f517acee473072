"""Takes reports on hits: a wrong one goes at once, and its feature becomes stricter."""

from collections.abc import Callable

from google.protobuf.message import DecodeError
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import stored_pb2

from services.cache import places
from services.cache.checks import check_key, check_scope
from services.cache.invalidate import Invalidate, tag_of
from services.cache.link import Link, raised
from services.cache.near.decisions import Decisions
from services.cache.reading import Reader
from services.cache.record import Recorder
from services.cache.store import AnswerStore, Entry
from services.cache.value import Codec


class Report:
    """The verb ReportWrongHit. `now_ms` is the wall clock."""

    def __init__(
        self,
        link: Link,
        reader: Reader,
        invalidate: Invalidate,
        recorder: Recorder,
        *,
        wrong_hit_ppm_max: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._link = link
        self._reader = reader
        self._invalidate = invalidate
        self._recorder = recorder
        self.decisions: Decisions | None = None
        """Set once models are loaded; until then nothing is learned."""
        self._ppm = wrong_hit_ppm_max
        self._now_ms = now_ms

    async def take(self, request: pb.ReportWrongHitRequest) -> pb.ReportWrongHitResponse:
        """What became of it. Raises InvalidFields; StoreUnavailable."""
        check_scope(request.scope)
        check_key("entry_key", request.entry_key)
        if request.key:
            check_key("key", request.key)
        response = pb.ReportWrongHitResponse()
        tag = tag_of(request.scope)
        if request.verdict != pb.HIT_VERDICT_RIGHT:
            response.removed = await self._removed(request, tag)
        if request.verdict != pb.HIT_VERDICT_STALE:
            await self._learn(request, tag, response)
        return response

    async def _removed(self, request: pb.ReportWrongHitRequest, tag: str) -> bool:
        place = places.entry(tag, request.entry_key)
        kept = (await self._reader.read([place])).get(place)
        if kept is None:
            return False
        stale = request.verdict == pb.HIT_VERDICT_STALE
        age_ms = max(0, self._now_ms() - kept.store_time_ms) if stale else None
        feature = request.feature or kept.entry.feature
        model = kept.entry.model_asked
        self._recorder.reported(request.scope.tenant, feature, model, stale_age_ms=age_ms)
        return await self._invalidate.remove(tag, {request.entry_key: kept}) > 0

    async def _learn(
        self, request: pb.ReportWrongHitRequest, tag: str, response: pb.ReportWrongHitResponse
    ) -> None:
        """Only from a hit that was served, and once: nobody can teach with made-up hits."""
        if self.decisions is None or not request.key or request.key == request.entry_key:
            return
        where = places.served(tag, request.key, request.entry_key)
        (raw,) = await self._link.run([("GETDEL", where)])
        if not isinstance(raised(raw), bytes):
            return
        try:
            hit = stored_pb2.ServedHit.FromString(raw if isinstance(raw, bytes) else b"")
        except DecodeError:
            return
        right = request.verdict == pb.HIT_VERDICT_RIGHT
        decision = await self.decisions.heard(
            request.scope.tenant, hit.feature, tuple(hit.features), right=right, ppm=self._ppm
        )
        response.learned = True
        response.stricter = decision.stricter


class Allow:
    """The verb AllowEntries."""

    def __init__(
        self, store: AnswerStore, reader: Reader, codec: Codec, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._reader = reader
        self._codec = codec
        self._now_ms = now_ms

    async def run(self, request: pb.AllowEntriesRequest) -> int:
        """How many entries are now everybody's. Raises StoreUnavailable."""
        tag = tag_of(request.scope)
        wanted = [places.entry(tag, key) for key in request.keys]
        entries = []
        for place, kept in (await self._reader.read(wanted)).items():
            ttl_ms = kept.entry.expire_time_ms - self._now_ms()
            if ttl_ms < 1:
                continue
            kept.entry.open = True
            kept.entry.ClearField("users")
            value = self._codec.pack(place, kept.entry, kept.store_time_ms)
            entries.append(Entry(place, value, ttl_ms))
        if not entries:
            return 0
        return sum(refusal is None for refusal in await self._store.put_many(entries))
