"""Breakdowns over a real socket: from sums where they are kept, from rows where not."""

from datetime import UTC, datetime

import grpc
import pytest
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.ledger.v1 import reading_service_pb2 as pb

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    detail_of,
    hit_item,
    info_of,
    refusal,
    reserve_item,
    settle_item,
)


async def call(
    ledger: Ledger, tokens: int, model: str = "cheap", latency_ms: int = 100, **who: str
) -> str:
    """A request of one call, answered or (without tokens) failed; its id."""
    item = reserve_item(tokens or 1, model)
    team = who.pop("team", "")
    if team:
        item.attribution.tags["team"] = team
    item.attribution.MergeFrom(entry_pb2.Attribution(**who))
    await ledger.hold(item)
    attempt = an_attempt(tokens, model)
    attempt.latency_ms = latency_ms
    if tokens:
        await ledger.charge(settle_item(item.hold_id, attempt))
    else:
        await ledger.release(ledger_pb.ReleaseItem(hold_id=item.hold_id, attempts=[attempt]))
    return item.request_id


async def a_day(ledger: Ledger) -> None:
    """Ann (key k1, blue): 10, 20 and 30 tokens in 50, 100 and 400 ms. Bob (key k2, red): a hit, a
    failed call, and 40 tokens of a strong model for another feature."""
    for tokens, latency_ms in ((10, 50), (20, 100), (30, 400)):
        await call(ledger, tokens, latency_ms=latency_ms, key_id="k1", session="s1", team="blue")
    hit = hit_item(30)
    hit.attribution.user, hit.attribution.key_id = "bob", "k2"
    hit.attribution.tags["team"] = "red"
    hit.attempt.latency_ms = 2
    await ledger.book(hit)
    await call(ledger, 0, user="bob", key_id="k2", team="red")
    await call(ledger, 40, "strong", user="bob", key_id="k2", feature="search", latency_ms=900)


async def ask(ledger: Ledger, *axes: int, **more: object) -> pb.BreakdownResponse:
    request = pb.BreakdownRequest(tenant="acme", group_by=axes, **more)  # type: ignore[arg-type]  # fields by name
    return await ledger.reading.Breakdown(request, timeout=30)


def costs(response: pb.BreakdownResponse) -> list[tuple[list[str], int, int]]:
    """(values, requests, tokens' cost in thousands of nano-USD) by group."""
    return [
        (list(row.sums.values), row.sums.request_count, int(row.sums.cost_nanos) // 1000)
        for row in response.rows
    ]


@pytest.mark.parametrize(
    ("axes", "more", "expected", "source"),
    [
        ([pb.AXIS_FEATURE], {}, [(["search"], 1, 400), (["chat"], 5, 60)], "ROLLUPS"),
        ([pb.AXIS_USER], {}, [(["bob"], 3, 400), (["ann"], 3, 60)], "ROLLUPS"),
        ([pb.AXIS_KEY], {}, [(["k2"], 3, 400), (["k1"], 3, 60)], "ROLLUPS"),
        ([pb.AXIS_TAG], {"tag_name": "team"}, [(["blue"], 3, 60), (["red"], 2, 0)], "ROLLUPS"),
        ([pb.AXIS_SESSION], {}, [([""], 3, 400), (["s1"], 3, 60)], "ENTRIES"),
        (
            [pb.AXIS_KEY, pb.AXIS_MODEL],
            {},
            [(["k2", "strong"], 1, 400), (["k1", "cheap"], 3, 60), (["k2", "cheap"], 2, 0)],
            "ENTRIES",
        ),
        (
            [pb.AXIS_FEATURE],
            {"only": [pb.AxisValue(axis=pb.AXIS_KEY, value="k1")]},
            [(["chat"], 3, 60)],
            "ENTRIES",
        ),
        (
            [pb.AXIS_KIND],
            {"only": [pb.AxisValue(axis=pb.AXIS_KIND, value="ENTRY_KIND_CACHE_HIT")]},
            [(["ENTRY_KIND_CACHE_HIT"], 1, 0)],
            "ROLLUPS",
        ),
        ([pb.AXIS_DAY], {}, [(["2026-03-10"], 6, 460)], "ROLLUPS"),
        ([pb.AXIS_HOUR], {}, [(["2026-03-10T12:00:00Z"], 6, 460)], "ROLLUPS"),
    ],
)
async def test_every_axis_sums_the_same_rows(
    ledger: Ledger, axes: list[int], more: dict, expected: list, source: str
) -> None:
    """Whichever table answers, and the answer says which it was."""
    await a_day(ledger)
    response = await ask(ledger, *axes, **more)
    assert costs(response) == expected
    assert pb.ReadSource.Name(response.source) == f"READ_SOURCE_{source}"
    assert not response.behind


async def test_hits_errors_and_latencies_are_told(ledger: Ledger) -> None:
    """Rates from counts; percentiles never below what was booked and within 7 %."""
    await a_day(ledger)
    total = (await ask(ledger)).total
    assert (total.sums.request_count, total.sums.hit_count, total.sums.error_count) == (6, 1, 1)
    assert 100 <= total.latency_p50_ms <= 107
    assert 900 <= total.latency_p99_ms <= 963
    by_model = await ask(ledger, pb.AXIS_MODEL)
    cheap = next(row for row in by_model.rows if list(row.sums.values) == ["cheap"])
    assert 400 <= cheap.latency_p99_ms <= 428
    by_user = await ask(ledger, pb.AXIS_USER)
    assert not by_user.rows[0].HasField("latency_p50_ms")
    by_session = await ask(ledger, pb.AXIS_SESSION)
    assert 400 <= by_session.rows[1].latency_p99_ms <= 428


async def test_groups_come_page_by_page_with_one_total(ledger: Ledger) -> None:
    """Each once; a token opens no other question."""
    await a_day(ledger)
    seen: list[str] = []
    request = pb.BreakdownRequest(tenant="acme", group_by=[pb.AXIS_SESSION], page_size=1)
    for _ in range(2):
        page = await ledger.reading.Breakdown(request)
        assert page.total.sums.request_count == 6
        seen += [row.sums.values[0] for row in page.rows]
        request.page_token = page.next_page_token
    assert seen == ["", "s1"]
    assert request.page_token == ""
    first = pb.BreakdownRequest(tenant="acme", group_by=[pb.AXIS_USER], page_size=1)
    request.page_token = (await ledger.reading.Breakdown(first)).next_page_token
    status = await refusal(ledger.reading.Breakdown(request))
    assert info_of(status).reason == "PAGE_INVALID"


async def test_a_period_is_whole_hours_from_either_source(ledger: Ledger, clock: SetClock) -> None:
    """Rows of other hours are in neither."""
    for hour in (9, 10, 10, 11):
        clock.set(datetime(2026, 3, 10, hour, 30, tzinfo=UTC))
        await call(ledger, 10)
    window = {
        "start_time": datetime(2026, 3, 10, 10, 15, tzinfo=UTC),
        "end_time": datetime(2026, 3, 10, 10, 20, tzinfo=UTC),
    }
    for axis in (pb.AXIS_USER, pb.AXIS_SESSION):
        assert (await ask(ledger, axis, **window)).total.sums.request_count == 2


async def test_what_is_wrong_with_a_question_is_named(ledger: Ledger) -> None:
    """By field."""
    request = pb.BreakdownRequest(group_by=[pb.AXIS_TAG] * 2)
    status = await refusal(ledger.reading.Breakdown(request))
    assert info_of(status).reason == "REQUEST_INVALID"
    from google.rpc import error_details_pb2

    bad = detail_of(status, error_details_pb2.BadRequest)
    assert {v.field for v in bad.field_violations} == {"tenant", "group_by", "tag_name"}


async def test_an_export_is_every_row_once_and_goes_on_after_a_break(ledger: Ledger) -> None:
    """In the order they were booked, from the cursor of the last piece that was kept."""
    ids = [await call(ledger, number + 1) for number in range(7)]
    await call(ledger, 3, tenant="other")
    request = pb.ExportEntriesRequest(tenant="acme")
    pieces = [piece async for piece in ledger.reading.ExportEntries(request, timeout=30)]
    rows = [entry.request_id for piece in pieces for entry in piece.entries]
    assert rows == ids
    request.cursor = pieces[-1].cursor
    assert [p async for p in ledger.reading.ExportEntries(request, timeout=30)] == []
    ledger.clock.go_on(3600)
    more = await call(ledger, 9)
    (piece,) = [p async for p in ledger.reading.ExportEntries(request, timeout=30)]
    assert [entry.request_id for entry in piece.entries] == [more]
    status = pb.ExportEntriesRequest(tenant="other", cursor=piece.cursor)
    call_ = ledger.reading.ExportEntries(status, timeout=30)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [p async for p in call_]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_sums_by_key_survive_a_restart_uncounted_twice(
    ledger: Ledger, clock: SetClock
) -> None:
    """The follower goes on where it was."""
    from tests.integration.ledger.conftest import running_ledger

    await a_day(ledger)
    before = costs(await ask(ledger, pb.AXIS_KEY))
    async with running_ledger(ledger.path.parent, clock) as again:
        assert costs(await ask(again, pb.AXIS_KEY)) == before
        await call(again, 10, key_id="k1")
        assert costs(await ask(again, pb.AXIS_KEY))[1] == (["k1"], 4, 70)
