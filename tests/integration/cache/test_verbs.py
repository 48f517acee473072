"""Leases, invalidation, counters, reports: over a real socket and a real Redis."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from tests.integration.cache.conftest import Cache, ask, say

ACME = pb.Scope(tenant="acme")


def paid(text: str = "Paris.", cost_nanos: int | None = 500) -> pb.Answer:
    answer = say(text)
    answer.usage.input_tokens, answer.usage.output_tokens = 7, 3
    if cost_nanos is not None:
        answer.cost_nanos = cost_nanos
    return answer


def leading(text: str = "q", **more: Any) -> pb.LookupItem:
    item = ask(text, **more)
    item.lease_ms = 60_000
    return item


async def invalidate(cache: Cache, **filters: Any) -> pb.InvalidateResponse:
    request = pb.InvalidateRequest(**{"scope": ACME, **filters})
    return await cache.stub.Invalidate(request, timeout=30)


async def stats(cache: Cache, tenant: str = "acme") -> pb.StatsResponse:
    return await cache.stub.Stats(pb.StatsRequest(tenant=tenant), timeout=30)


async def reason_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status and ErrorInfo reason that a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    metadata = dict(refused.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])  # type: ignore[arg-type]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return refused.value.code(), info.reason


async def test_of_equal_misses_one_leads(cache: Cache) -> None:
    """One of many concurrent look-ups gets the lease; the others learn that somebody has it."""
    results = await cache.look_up(*(leading() for _ in range(20)))
    findings = [result.finding for result in results]
    assert sum(bool(finding.lease) for finding in findings) == 1
    assert sum(finding.led_elsewhere for finding in findings) == 19
    other = await cache.find(leading(tenant="globex"))
    assert other.lease


async def test_who_waits_gets_the_leaders_answer(cache: Cache) -> None:
    """Await returns the stored answer as a hit, as soon as it is kept."""
    led = await cache.find(leading())
    request = pb.AwaitRequest(scope=ACME, key=led.key, lease_ms=60_000)
    waits = [asyncio.create_task(_await(cache, request)) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert not any(wait.done() for wait in waits)
    item = pb.StoreItem(scope=ACME, key=led.key, answer=paid(), lease=led.lease)
    await cache.stub.Store(pb.StoreRequest(items=[item]), timeout=30)
    for finding in await asyncio.gather(*waits):
        assert finding.outcome == pb.OUTCOME_EXACT
        assert finding.answer == paid()


async def test_a_dead_leader_frees_one_successor(cache: Cache) -> None:
    """When a lease runs out, exactly one of those who wait leads; the others wait for it."""
    item = leading()
    item.lease_ms = 200
    led = await cache.find(item)
    request = pb.AwaitRequest(scope=ACME, key=led.key, lease_ms=60_000)
    waits = [asyncio.create_task(_await(cache, request)) for _ in range(5)]
    done, waiting = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    (first,) = done
    assert first.result().lease
    assert len(waiting) == 4
    stored = pb.StoreItem(scope=ACME, key=led.key, answer=paid(), lease=first.result().lease)
    await cache.stub.Store(pb.StoreRequest(items=[stored]), timeout=30)
    found = await asyncio.gather(*waiting)
    assert all(finding.outcome == pb.OUTCOME_EXACT for finding in found)


async def test_a_wait_ends_in_time(cache: Cache) -> None:
    """A leader that takes too long is not waited for: the waiter learns it in time."""
    led = await cache.find(leading())
    request = pb.AwaitRequest(scope=ACME, key=led.key, lease_ms=1_000, wait_ms=100)
    finding = await _await(cache, request)
    assert (finding.outcome, finding.lease, finding.led_elsewhere) == (pb.OUTCOME_MISS, "", True)


async def test_only_the_holder_renews_and_gives_back(cache: Cache) -> None:
    """Another token changes nothing; the holder's own renews, and gives back once."""
    led = await cache.find(leading())

    async def renew(lease: str, lease_ms: int) -> bool:
        item = pb.LeaseItem(scope=ACME, key=led.key, lease=lease, lease_ms=lease_ms)
        request = pb.RenewLeasesRequest(items=[item])
        return (await cache.stub.RenewLeases(request, timeout=30)).results[0].state.held

    assert not await renew("stranger", 0)
    assert await renew(led.lease, 60_000)
    assert await renew(led.lease, 0)
    assert not await renew(led.lease, 60_000)
    assert (await cache.find(leading())).lease


async def test_bad_leases_are_refused(cache: Cache) -> None:
    """Too long, or none: refused with the reason."""
    item = leading()
    item.lease_ms = 60_001
    (result,) = await cache.look_up(item)
    info = error_details_pb2.ErrorInfo()
    assert result.error.details[0].Unpack(info)
    assert info.reason == "LEASE_INVALID"
    request = pb.AwaitRequest(scope=ACME, key="0" * 64)
    assert (await reason_of(_await(cache, request)))[1] == "LEASE_INVALID"


async def _await(cache: Cache, request: pb.AwaitRequest) -> pb.Finding:
    return (await cache.stub.Await(request, timeout=30)).finding


async def _fill(cache: Cache) -> None:
    rows = [
        ("a", {"feature": "faq", "tags": ["v=1", "lang=en"]}),
        ("b", {"feature": "faq", "tags": ["v=2"]}),
        ("c", {"feature": "chat", "model_asked": "big"}),
    ]
    for text, more in rows:
        await cache.keep(ask(text), paid(), **more)
    await cache.keep(ask("a", tenant="globex"), paid())
    mine = ask("d")
    mine.scope.project = "blue"
    await cache.keep(mine, paid())


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"everything": True}, 4),
        ({"features": ["faq"]}, 2),
        ({"features": ["faq"], "tags": ["v=1", "v=9"]}, 1),
        ({"tags": ["nobody"]}, 0),
        ({"models": ["big"]}, 1),
        ({"models": ["gpt-5.4-mini"]}, 4),
        ({"features": [""]}, 1),
        ({"scope": pb.Scope(tenant="acme", project="blue"), "everything": True}, 1),
        ({"store_time_end": Timestamp(seconds=1)}, 0),
        ({"store_time_start": Timestamp(seconds=1)}, 4),
        ({"scope": pb.Scope(tenant="nobody"), "everything": True}, 0),
    ],
)
async def test_invalidation_takes_what_the_filters_name(
    cache: Cache, filters: dict[str, Any], count: int
) -> None:
    """A dry run counts and removes nothing; the real one removes as many, and no other tenant's."""
    await _fill(cache)
    dry = await invalidate(cache, dry_run=True, **filters)
    assert (dry.matched_count, dry.removed_count, dry.complete) == (count, 0, True)
    done = await invalidate(cache, **filters)
    assert (done.matched_count, done.removed_count) == (count, count)
    assert (await invalidate(cache, dry_run=True, everything=True)).matched_count == (
        4 - count if filters.get("scope", ACME).tenant == "acme" else 4
    )
    assert (await cache.find(ask("a", tenant="globex"))).outcome == pb.OUTCOME_EXACT


async def test_invalidation_by_key(cache: Cache) -> None:
    """One entry goes, its neighbour stays."""
    await _fill(cache)
    key = (await cache.find(ask("a"))).key
    assert (await invalidate(cache, keys=[key, "0" * 64])).removed_count == 1
    assert (await cache.find(ask("a"))).outcome == pb.OUTCOME_MISS
    assert (await cache.find(ask("b"))).outcome == pb.OUTCOME_EXACT


async def test_a_large_scope_is_invalidated_page_by_page(cache: Cache) -> None:
    """Far more entries than a page holds are all found, each counted once."""
    keys = [f"{number:064x}" for number in range(2_300)]
    for start in range(0, len(keys), 230):
        items = [
            pb.StoreItem(scope=ACME, key=key, answer=paid()) for key in keys[start : start + 230]
        ]
        await cache.stub.Store(pb.StoreRequest(items=items), timeout=30)
    assert (await invalidate(cache, dry_run=True, everything=True)).matched_count == 2_300
    assert (await invalidate(cache, everything=True)).removed_count == 2_300
    assert (await stats(cache)).entry_count == 0


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({}, "FILTER_INVALID"),
        ({"everything": True, "tags": ["a=b"]}, "FILTER_INVALID"),
        ({"tags": ["x" * 201]}, "FILTER_INVALID"),
        ({"keys": ["short"]}, "KEY_INVALID"),
        ({"store_time_end": Timestamp(seconds=-5)}, "FILTER_INVALID"),
        ({"scope": pb.Scope(), "everything": True}, "SCOPE_INVALID"),
    ],
)
async def test_a_filter_that_says_nothing_is_refused(
    cache: Cache, filters: dict[str, Any], reason: str
) -> None:
    """Nothing is removed by mistake: no filter at all must be said in so many words."""
    assert await reason_of(invalidate(cache, **filters)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        reason,
    )


async def test_counters_tell_hits_money_and_age(cache: Cache) -> None:
    """By feature and model: look-ups, hits by kind, saved and paid, the right percentage."""
    item = ask("q")
    item.feature = "faq"
    await cache.keep(item, paid(cost_nanos=600), feature="faq", model_asked="auto")
    for _ in range(3):
        assert (await cache.find(item)).outcome == pb.OUTCOME_EXACT
    unpriced = ask("r")
    await cache.keep(unpriced, paid(cost_nanos=None))
    await cache.find(unpriced)
    random = ask("s", sampling=chat_pb2.Sampling(temperature=1.5))
    await cache.find(random)
    await asyncio.sleep(1.2)  # counters go to the store once a second
    told = await stats(cache)
    (faq,) = [row for row in told.rows if row.feature == "faq"]
    assert (faq.model, faq.lookup_count, faq.exact_hit_count) == ("auto", 4, 3)
    assert (faq.saved_nanos, faq.paid_nanos, faq.stored_count) == (1_800, 600, 1)
    assert faq.saved_basis_points == 7_500
    assert faq.saved_tokens == 30
    assert faq.hits_by_age[0] == 3
    assert told.total.unpriced_hit_count == 1
    assert told.total.not_cacheable_count == 1
    assert told.total.saved_basis_points == 7_500
    assert told.entry_count == 2
    assert (await stats(cache, "globex")).total.lookup_count == 0


async def test_a_dry_run_counts_nothing(cache: Cache) -> None:
    """Looking for the sake of looking shows in no counter and takes no lease."""
    item = leading()
    item.dry_run = True
    assert not (await cache.find(item)).lease
    await asyncio.sleep(1.2)
    assert (await stats(cache)).total.lookup_count == 0


@pytest.mark.parametrize(
    "times",
    [
        {"start_time": Timestamp(seconds=10**9), "end_time": Timestamp(seconds=1)},
        {"start_time": Timestamp(seconds=1)},
        {"start_time": Timestamp(seconds=10**12)},
    ],
)
async def test_a_span_of_time_has_limits(cache: Cache, times: dict[str, Any]) -> None:
    """Backwards, or over 90 days: refused."""
    call = cache.stub.Stats(pb.StatsRequest(tenant="acme", **times), timeout=30)
    assert (await reason_of(call))[1] == "FILTER_INVALID"


async def test_a_stale_answer_goes_and_is_counted_by_its_age(cache: Cache) -> None:
    """A report of staleness removes the entry and tells the advice on times to live."""
    item = ask("q")
    await cache.keep(item, paid())
    key = (await cache.find(item)).key
    request = pb.ReportWrongHitRequest(scope=ACME, entry_key=key, verdict=pb.HIT_VERDICT_STALE)
    told = await cache.stub.ReportWrongHit(request, timeout=30)
    assert told.removed
    assert (await cache.find(item)).outcome == pb.OUTCOME_MISS
    await asyncio.sleep(1.2)
    response = await stats(cache)
    assert sum(response.total.stale_by_age) == 1
    assert response.ttl_advices[0].stale_count == 1


async def test_a_right_hit_stays(cache: Cache) -> None:
    """A good word removes nothing."""
    item = ask("q")
    await cache.keep(item, paid())
    key = (await cache.find(item)).key
    request = pb.ReportWrongHitRequest(scope=ACME, entry_key=key, verdict=pb.HIT_VERDICT_RIGHT)
    assert not (await cache.stub.ReportWrongHit(request, timeout=30)).removed
    assert (await cache.find(item)).outcome == pb.OUTCOME_EXACT


async def test_texts_that_cannot_be_embedded_are_refused(cache: Cache) -> None:
    """Too many, empty or overlong; and any, while no models are loaded."""
    for texts, reason in (
        ([], "ITEMS_INVALID"),
        (["x"] * 257, "ITEMS_INVALID"),
        (["x", ""], "PROMPT_INVALID"),
        (["x" * 8_193], "PROMPT_INVALID"),
    ):
        call = cache.stub.Embed(pb.EmbedRequest(texts=texts), timeout=30)
        assert await reason_of(call) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    call = cache.stub.Embed(pb.EmbedRequest(texts=["x"]), timeout=30)
    assert await reason_of(call) == (grpc.StatusCode.UNAVAILABLE, "MODELS_UNAVAILABLE")
