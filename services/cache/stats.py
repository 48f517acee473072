"""What the cache did for a tenant, from counters; no key is scanned."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from google.protobuf import timestamp_pb2
from spendgate.cache.v1 import cache_service_pb2 as pb

from chassis.errors import FieldViolation, InvalidFields
from services.cache import places
from services.cache.catalogue import SCOPES_MAX, Catalogue
from services.cache.link import Link, pairs, raised
from services.cache.tally import (
    AGE_BUCKETS,
    AGE_FACTOR,
    AGE_SECONDS_FIRST,
    DAY_MS,
    OTHER,
    PAIRS_MAX,
    SEPARATOR,
    day_of,
)
from services.cache.ttl_advice import advice

DAYS_DEFAULT = 30
DAYS_MAX = 90
BASIS_POINTS = 10_000

Counts = Mapping[str, int]
_Pair = tuple[str, str]

_FIELDS = {
    "lookup_count": "lookups",
    "exact_hit_count": "exact",
    "semantic_hit_count": "semantic",
    "not_cacheable_count": "not_cacheable",
    "bypassed_count": "bypassed",
    "stored_count": "stored",
    "wrong_hit_count": "wrong",
    "saved_nanos": "saved_nanos",
    "unpriced_hit_count": "unpriced",
    "paid_nanos": "paid_nanos",
    "saved_tokens": "tokens",
}


class Stats:
    """The verb Stats. `now_ms` is the wall clock."""

    def __init__(self, link: Link, catalogue: Catalogue, now_ms: Callable[[], int]) -> None:
        self._link = link
        self._catalogue = catalogue
        self._now_ms = now_ms

    async def read(self, request: pb.StatsRequest) -> pb.StatsResponse:
        """Sums and rows. Raises StoreUnavailable; InvalidFields (FILTER_INVALID)."""
        days = list(self._days(request))
        counted = _by_pair(
            [
                pairs(raised(reply))
                for reply in await self._link.run(
                    [("HGETALL", places.counters(request.tenant, day)) for day in days]
                )
            ]
        )
        rows = [row_of(*pair, counts) for pair, counts in counted.items()]
        rows.sort(key=lambda row: (-row.saved_nanos, -row.lookup_count, row.feature, row.model))
        total: Counter[str] = Counter()
        for counts in counted.values():
            total.update(counts)
        response = pb.StatsResponse(
            total=row_of("", "", total),
            rows=rows[: PAIRS_MAX + 1],
            ttl_advices=advice(rows),
        )
        tags = await self._catalogue.scopes(request.tenant)
        if len(tags) <= SCOPES_MAX:
            response.entry_count = await self._catalogue.count(tags, self._now_ms())
        return response

    def _days(self, request: pb.StatsRequest) -> Iterator[str]:
        last = _ms(request.end_time) if request.HasField("end_time") else self._now_ms()
        first = last - (DAYS_DEFAULT - 1) * DAY_MS
        if request.HasField("start_time"):
            first = _ms(request.start_time)
        begin, end = first // DAY_MS, last // DAY_MS
        if not 0 <= end - begin < DAYS_MAX:
            wanted = f"is at most {DAYS_MAX} days after start_time, and not before it"
            raise InvalidFields("FILTER_INVALID", FieldViolation("end_time", wanted))
        for day in range(begin, end + 1):
            yield day_of(day * DAY_MS)


def row_of(feature: str, model: str, counts: Counts) -> pb.StatsRow:
    """Counters as they are told."""
    row = pb.StatsRow(feature=feature, model=model)
    for field, name in _FIELDS.items():
        setattr(row, field, counts.get(name, 0))
    saved = row.saved_nanos
    if whole := saved + row.paid_nanos:
        row.saved_basis_points = divided(saved * BASIS_POINTS, whole)
    if hits := row.exact_hit_count + row.semantic_hit_count:
        row.hit_age_seconds_mean = divided(counts.get("age_ms", 0), hits * 1_000)
    row.hits_by_age.extend(counts.get(f"age{bucket}", 0) for bucket in range(AGE_BUCKETS))
    row.stale_by_age.extend(counts.get(f"stale{bucket}", 0) for bucket in range(AGE_BUCKETS))
    return row


def divided(number: int, by: int) -> int:
    """`number / by`, rounded half to even. Neither is negative, `by` is above 0."""
    whole, rest = divmod(number, by)
    if 2 * rest > by or (2 * rest == by and whole % 2):
        whole += 1
    return whole


def age_seconds(bucket: int) -> int:
    """The upper bound of a bucket of ages, in seconds."""
    return AGE_SECONDS_FIRST * int(AGE_FACTOR**bucket)


def _ms(time: timestamp_pb2.Timestamp) -> int:
    return int(time.ToMilliseconds())


def _by_pair(days: Sequence[Mapping[bytes, object]]) -> dict[_Pair, Counter[str]]:
    counted: dict[_Pair, Counter[str]] = defaultdict(Counter)
    for name, count in _items(days):
        feature, model, counter = name
        counted[feature, model][counter] += count
    while len(counted) > PAIRS_MAX + 1:
        # Several processes may have let in more pairs than one would.
        pair = min((p for p in counted if p[0] != OTHER), key=lambda p: counted[p]["lookups"])
        counted[OTHER, OTHER].update(counted.pop(pair))
    return counted


def _items(days: Iterable[Mapping[bytes, object]]) -> Iterator[tuple[list[str], int]]:
    for day in days:
        for raw, value in day.items():
            name = raw.decode(errors="replace").split(SEPARATOR)
            if len(name) == 3 and isinstance(value, bytes) and value.lstrip(b"-").isdigit():
                yield name, int(value)
