"""What observed re-use and reports of staleness say of times to live. Nothing is changed by it."""

from collections import defaultdict
from collections.abc import Sequence

from spendgate.cache.v1 import cache_service_pb2 as pb

from services.cache.tally import AGE_BUCKETS, AGE_FACTOR, AGE_SECONDS_FIRST

HITS_MIN = 100
# A life under which so many hits in 100 fall; a longer one serves few more.
REUSE_PERCENT = 95
# From the first age at which over so many hits in 100 were reported stale, answers are too old.
STALE_PERCENT = 1


def advice(rows: Sequence[pb.StatsRow]) -> list[pb.TtlAdvice]:
    """One for each feature that had hits, most hits first."""
    hits: dict[str, list[int]] = defaultdict(lambda: [0] * AGE_BUCKETS)
    stale: dict[str, list[int]] = defaultdict(lambda: [0] * AGE_BUCKETS)
    for row in rows:
        for bucket in range(AGE_BUCKETS):
            hits[row.feature][bucket] += row.hits_by_age[bucket]
            stale[row.feature][bucket] += row.stale_by_age[bucket]
    found = [
        _of_feature(feature, hits[feature], stale[feature])
        for feature in sorted(hits)
        if sum(hits[feature])
    ]
    return sorted(found, key=lambda each: -each.hit_count)


def _of_feature(feature: str, hits: list[int], stale: list[int]) -> pb.TtlAdvice:
    total = sum(hits)
    told = pb.TtlAdvice(feature=feature, hit_count=total, stale_count=sum(stale))
    below = 0
    for bucket, count in enumerate(hits):
        below += count
        if below * 100 >= total * REUSE_PERCENT:
            told.reuse_seconds = _upper_seconds(bucket)
            break
    for bucket, count in enumerate(stale):
        if count and count * 100 > hits[bucket] * STALE_PERCENT:
            # The bucket's lower bound: no answer may get that old.
            told.stale_seconds = max(1, _upper_seconds(bucket - 1)) if bucket else 1
            break
    if total >= HITS_MIN:
        told.ttl_seconds = told.reuse_seconds
        if told.stale_seconds:
            told.ttl_seconds = min(told.reuse_seconds, told.stale_seconds)
    return told


def _upper_seconds(bucket: int) -> int:
    return int(AGE_SECONDS_FIRST * AGE_FACTOR**bucket)
