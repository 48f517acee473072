"""Percentiles out of buckets."""

from hypothesis import given
from hypothesis import strategies as st

from services.ledger.insight.histogram import bucket_of, bucket_top_ms, percentiles

LATENCIES = st.integers(0, 10**10)


@given(LATENCIES)
def test_a_bucket_holds_its_latencies_to_within_seven_percent(ms: int) -> None:
    """Never below what was counted, at most a sixteenth above."""
    top = bucket_top_ms(bucket_of(ms))
    assert ms <= top <= ms + ms // 15


@given(LATENCIES, LATENCIES)
def test_buckets_keep_the_order(one: int, other: int) -> None:
    """A longer latency is in no lower bucket."""
    assert (bucket_of(one) <= bucket_of(other)) or one > other


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_that_of_the_latencies_themselves(found: list[int], percent: int) -> None:
    """To within the width of a bucket, by the nearest rank."""
    exact = sorted(found)[max(1, -(-len(found) * percent // 100)) - 1]
    (told,) = percentiles([(bucket_of(ms), 1) for ms in found], percent)
    assert told == bucket_top_ms(bucket_of(exact))


def test_nothing_counted_has_no_percentile() -> None:
    """And not a latency of 0."""
    assert percentiles([], 50, 99) == [None, None]
