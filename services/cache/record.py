"""What look-ups leave behind: counters, and hits that a report may speak of later."""

from collections.abc import Callable

from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import stored_pb2
from spendgate.chat.v1 import chat_pb2

from services.cache import places
from services.cache.near.search import NearFound
from services.cache.tally import Tally, age_bucket

SERVED_KEPT_MS = 7 * 24 * 3600 * 1000


class Recorder:
    """Writes to a Tally. `now_ms` is the wall clock."""

    def __init__(self, tally: Tally, now_ms: Callable[[], int]) -> None:
        self._tally = tally
        self._now_ms = now_ms

    def looked_up(self, item: pb.LookupItem, finding: pb.Finding) -> None:
        """Counts a look-up by how it ended, and what a hit saved."""
        if item.dry_run:
            return
        counts = {"lookups": 1}
        if finding.outcome == pb.OUTCOME_NOT_CACHEABLE:
            counts["not_cacheable"] = 1
        elif finding.outcome == pb.OUTCOME_BYPASSED:
            counts["bypassed"] = 1
        elif finding.HasField("answer"):
            counts |= self._hit(finding)
        self._tally.add(item.scope.tenant, item.feature, item.model, **counts)

    def hit_after_waiting(self, tenant: str, feature: str, finding: pb.Finding) -> None:
        """Counts a hit on an answer that was waited for; its look-up was counted before."""
        self._tally.add(tenant, feature, finding.answer.model, **self._hit(finding))

    def kept(self, tenant: str, entry: stored_pb2.StoredEntry) -> None:
        """Counts an answer that was kept, and what it cost."""
        counts = {"stored": 1, "paid_nanos": entry.answer.cost_nanos}
        self._tally.add(tenant, entry.feature, entry.model_asked, **counts)

    def reported(self, tenant: str, feature: str, model: str, *, stale_age_ms: int | None) -> None:
        """Counts a hit that was reported wrong, or stale at an age."""
        if stale_age_ms is None:
            self._tally.add(tenant, feature, model, wrong=1)
        else:
            self._tally.add(tenant, feature, model, **{f"stale{age_bucket(stale_age_ms)}": 1})

    def served(self, item: pb.LookupItem, tag: str, found: NearFound) -> None:
        """Remembers a semantic hit for a report."""
        if item.dry_run or found.hit is None:
            return
        record = stored_pb2.ServedHit(
            feature=item.feature,
            similarity=found.similarity,
            features=found.features,
            store_time_ms=found.hit.store_time_ms,
            serve_time_ms=self._now_ms(),
            model=item.model,
        )
        if found.p_same is not None:
            record.p_same = found.p_same
        where = places.served(tag, found.key, found.entry_key)
        self._tally.note(("SET", where, record.SerializeToString(), "PX", SERVED_KEPT_MS))

    def _hit(self, finding: pb.Finding) -> dict[str, int]:
        age_ms = max(0, self._now_ms() - finding.store_time.ToMilliseconds())
        answer = finding.answer
        kind = "semantic" if finding.outcome == pb.OUTCOME_SEMANTIC else "exact"
        counts = {
            kind: 1,
            "tokens": tokens_of(answer.usage),
            "age_ms": age_ms,
            f"age{age_bucket(age_ms)}": 1,
        }
        if answer.HasField("cost_nanos"):
            counts["saved_nanos"] = answer.cost_nanos
        else:
            counts["unpriced"] = 1
        return counts


def tokens_of(usage: chat_pb2.TokenUsage) -> int:
    """All tokens of all buckets."""
    return sum(int(value) for _, value in usage.ListFields())
