"""Latencies counted in buckets, so that percentiles of any period can be told from sums.

Up to 15 ms a bucket is a millisecond; above, each doubling has 16 buckets, so that a percentile
is told to within 7 % and never too low.
"""

from collections.abc import Iterable

_SUB_BITS = 4
_EXACT = 1 << _SUB_BITS


def bucket_of(latency_ms: int) -> int:
    """The bucket that counts a latency; negative ones count as 0."""
    ms = max(0, latency_ms)
    if ms < _EXACT:
        return ms
    shift = ms.bit_length() - 1 - _SUB_BITS
    return ((shift + 1) << _SUB_BITS) + (ms >> shift) - _EXACT


def bucket_top_ms(bucket: int) -> int:
    """The longest latency that a bucket counts, in milliseconds."""
    if bucket < _EXACT:
        return bucket
    shift = (bucket >> _SUB_BITS) - 1
    return ((_EXACT + (bucket & (_EXACT - 1)) + 1) << shift) - 1


def percentiles(counts: Iterable[tuple[int, int]], *percents: int) -> list[int | None]:
    """For each of `percents` the latency that so many of a hundred requests stayed within.

    `counts` are (bucket, requests). None where there is no request.
    """
    ordered = sorted(counts)
    total = sum(count for _, count in ordered)
    if not total:
        return [None] * len(percents)
    found: list[int | None] = []
    for percent in percents:
        # The smallest latency with at least percent % of the requests at or under it.
        rank, seen = max(1, -(-total * percent // 100)), 0
        for bucket, count in ordered:
            seen += count
            if seen >= rank:
                found.append(bucket_top_ms(bucket))
                break
    return found
