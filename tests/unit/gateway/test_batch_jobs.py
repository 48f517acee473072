"""Jobs from their file to their results: whatever happens, each item is billed once."""

import asyncio

import grpc
import pytest
from spendgate.gateway.v1 import batch_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from chassis.errors import InvalidFields
from gateway.batches.log import JobLog
from gateway.batches.words import LimitReached
from gateway.door import Identity
from gateway.providers.batch_port import BatchStage
from gateway.providers.port import Billed, ProviderRefused, ProviderUnavailable, Unavailability
from tests.fakes.batch_house import BatchHouse, line_of
from tests.fakes.services import refusal

ITEM, CALL = entry_pb2.ENTRY_KIND_BATCH_ITEM, entry_pb2.ENTRY_KIND_CALL
SHARED = entry_pb2.ENTRY_KIND_SHARED_CALL
TEXTS = ("one", "two", "one", "three", "four", "five")


@pytest.fixture
def house(tmp_path):
    return BatchHouse(tmp_path)


class _Crash(Exception):
    pass


class _Crashing:
    """Makes the log's n-th append the last: on disk, or not."""

    def __init__(self, monkeypatch, at, *, written):
        self.left = at
        self.count = 0
        self.written = written
        self.real = JobLog._write
        crashing = self

        def write(log, events):
            return crashing._write(log, events)

        monkeypatch.setattr(JobLog, "_write", write)

    def _write(self, log, events):
        self.count += 1
        self.left -= 1
        if self.left == 0 and self.written:
            self.real(log, events)
        if self.left == 0:
            raise _Crash
        return self.real(log, events)


async def _crashes_at(tmp_path, monkeypatch, at, *, written, by_endpoint):
    """True when there was such an append; then the job was taken up again and is checked."""
    house = BatchHouse(tmp_path, by_endpoint=by_endpoint)
    batch_id = await house.submit(*TEXTS)
    with monkeypatch.context() as patched:
        crash = _Crashing(patched, at, written=written)
        try:
            state = await house.run(batch_id)
        except (_Crash, ExceptionGroup):
            crashed = True
        else:
            crashed = False
    if crashed:
        state = await house.run(batch_id)
    assert state.state == pb.BATCH_STATE_COMPLETED
    assert state.progress.completed == len(TEXTS) == len(await house.results(batch_id))
    handed = [text for _, texts in house.provider.batches.values() for text in texts.values()]
    if by_endpoint:
        assert sorted(handed) == sorted(set(TEXTS))
        assert house.kinds() == {ITEM: 5, SHARED: 1}
    else:
        assert house.kinds()[SHARED] + house.kinds()[CALL] + house.kinds()[2] == len(TEXTS)
    assert len({item.request_id for item in house.booked().values()}) == len(TEXTS)
    assert house.on_hold() == set()
    assert crash.count >= at or not crashed
    return crashed


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("by_endpoint", [True, False])
async def test_a_crash_at_any_write_bills_nothing_twice(
    tmp_path, monkeypatch, written, by_endpoint
):
    """At every write of the log, on disk or lost: the provider gets each line once, rows come
    again only as the very same, holds go back."""
    at = 1
    while await _crashes_at(
        tmp_path / str(at), monkeypatch, at, written=written, by_endpoint=by_endpoint
    ):
        at += 1
    assert at > 8


async def test_an_answer_that_was_lost_hands_nothing_over_twice(house):
    """The provider had taken the batch: it is found by its name."""
    house.provider.lose_answers = 1
    batch_id = await house.submit("one")
    assert (await house.run(batch_id)).state == pb.BATCH_STATE_COMPLETED
    assert len(house.provider.batches) == 1


async def test_what_the_endpoint_refuses_is_called_for(house):
    """Also where the fleet learns it only from the batch's stage."""
    house.provider.fail = ProviderRefused("fake", http_status=400)
    batch_id = await house.submit("one", "two")
    state = await house.run(batch_id)
    assert (state.progress.by_calls, house.kinds()) == (2, {CALL: 2})
    house.provider.fail = None
    house.provider.stage = BatchStage.REFUSED
    again = await house.submit("three")
    assert (await house.run(again)).progress.by_calls == 1


async def test_lost_items_are_called_for_and_refused_ones_fail_alone(house):
    """A line the provider never worked on gets another chance; one it refused does not."""
    batch_id = await house.submit("lost here", "refused there", "fine", "refused there")
    state = await house.run(batch_id)
    assert (state.progress.by_endpoint, state.progress.by_calls, state.progress.failed) == (1, 1, 2)
    told = await house.results(batch_id)
    assert told["id-1"]["response"]["body"]["error"]["type"] == "invalid_request_error"
    assert told["id-3"]["response"]["status_code"] == 400
    failed = [row for row in house.booked().values() if row.attempt.error_reason]
    assert [row.attempt.usage.ByteSize() for row in failed] == [0]


async def test_calls_are_tried_again_and_every_try_is_booked(tmp_path):
    """A provider that fails for a while fails no item; tries that may be billed are rows."""
    house = BatchHouse(tmp_path, by_endpoint=False)
    house.kit.calls._chance = lambda *_: 0.0
    broken = ProviderUnavailable("fake", Unavailability.RESET, billed=Billed.UNKNOWN)
    house.saga.provider.script = [broken] * 3
    batch_id = await house.submit("one")
    assert (await house.run(batch_id)).progress.completed == 1
    rows = sorted(house.booked().values(), key=lambda row: row.attempt.attempt_number)
    assert [row.attempt.outcome for row in rows] == [2, 2, 2, 1]
    assert [row.attempt.attempt_number for row in rows] == [1, 2, 3, 4]
    assert len({row.request_id for row in rows}) == 1


async def test_a_job_yields_to_others(tmp_path):
    """While as many ordinary requests are under way as may be, no call is begun."""
    house = BatchHouse(tmp_path, by_endpoint=False)
    house.others = house.config.yield_above_calls
    batch_id = await house.submit("one")
    running = asyncio.create_task(house.run(batch_id))
    while not house.saga.services.asked["reserve"]:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert house.saga.provider.calls == []
    house.others = 0
    assert (await running).progress.completed == 1


async def test_a_budget_that_refuses_fails_the_job_and_keeps_nothing(house):
    """What was taken for other chunks goes back."""
    house.saga.services.fail["reserve"] = refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED"
    )
    batch_id = await house.submit(*TEXTS)
    state = await house.run(batch_id)
    assert state.state == pb.BATCH_STATE_FAILED
    assert state.errors[0].code == "budget_exceeded"
    assert house.provider.batches == {}
    assert house.on_hold() == set()


async def test_holds_are_taken_anew_before_the_old_go_back(house):
    """At no moment is a chunk's money free; after a restart too."""
    house.provider.stage = BatchStage.UNDER_WAY
    batch_id = await house.submit("one", "two")
    running = asyncio.create_task(house.run(batch_id))
    while not house.provider.batches:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    first = house.on_hold()
    assert len(first) == 1
    house.provider.stage = BatchStage.ENDED
    await house.run(batch_id)
    asked = house.saga.services.asked
    assert len({item.hold_id for item in asked["reserve"]}) == 2
    assert house.on_hold() == set()


async def test_a_ledger_that_is_away_is_waited_for(house, monkeypatch):
    """What is owed stays in the log; the hold goes back only once it is booked."""
    away = refusal(grpc.StatusCode.UNAVAILABLE, "BOOKS_UNAVAILABLE")
    house.saga.services.fail["record"] = away
    batch_id = await house.submit("one")
    running = asyncio.create_task(house.run(batch_id))
    while not house.saga.services.asked["record"]:
        await asyncio.sleep(0.01)
    assert len(house.on_hold()) == 1
    running.cancel()
    await asyncio.wait([running])
    del house.saga.services.fail["record"]
    state = await house.run(batch_id)
    assert state.money.cost_nanos == 0  # as the scripted ledger has it
    assert (state.progress.completed, state.money.booking_parked_count) == (1, 0)
    assert house.kinds() == {ITEM: 1}
    assert house.on_hold() == set()


async def test_a_row_that_is_refused_is_parked_and_told(house):
    """The outbox has it; the job ends and says so."""
    house.saga.services.fail["record"] = refusal(grpc.StatusCode.FAILED_PRECONDITION, "X")
    batch_id = await house.submit("one")
    state = await house.run(batch_id)
    assert state.state == pb.BATCH_STATE_COMPLETED
    assert state.money.booking_parked_count == 1
    assert len(house.saga.outbox.records) == 1


async def test_time_is_up(house):
    """What is answered stays, what is not says so; the provider is asked to end."""
    house.provider.stage = BatchStage.UNDER_WAY
    batch_id = await house.submit("one", "lost", completion_seconds=1)
    state = await house.run(batch_id)
    assert state.state == pb.BATCH_STATE_EXPIRED
    assert house.provider.cancelled == ["up0"]
    told = await house.results(batch_id)
    assert told["id-0"]["response"]["status_code"] == 200
    assert told["id-1"]["error"]["code"] == "batch_expired"
    assert house.on_hold() == set()


async def test_limits_of_a_tenant(house):
    """BATCH_LIMIT_REACHED for jobs, REQUEST_INVALID for a file too large; nothing of it stays."""
    await house.submit("one")
    await house.submit("two")
    with pytest.raises(LimitReached) as caught:
        await house.submit("three")
    assert (caught.value.limit, caught.value.allowed) == ("tenant_jobs_max", 2)
    before = house.files.used_bytes("acme")
    with pytest.raises(InvalidFields):
        await house.upload("x" * 5_000)
    assert house.files.used_bytes("acme") == before
    assert list(house.files._folders.files("acme").glob("*.part")) == []


async def test_a_submission_that_is_repeated_is_one_job(house):
    """The same id gets the first job, also past the limit of jobs; another tenant's is its own."""
    first = await house.submit("one", request_id="mine")
    await house.submit("two")
    assert await house.submit("one", request_id="mine") == first
    with pytest.raises(InvalidFields):
        await house.submit("x", request_id="x" * 129)


async def test_what_is_wrong_with_a_wish(house):
    """Every violation at once."""
    file_id = await house.upload("one")
    wish = {"completion_seconds": 10**9}
    with pytest.raises(InvalidFields) as caught:
        await house.submit("x", **wish)
    assert [each.field for each in caught.value.violations] == ["completion"]
    assert file_id


async def test_rows_bear_what_the_key_pins(house):
    """A job is booked to whom its key says, whatever its lines say."""
    who = Identity(tenant="acme", key_id="k2", user="pinned", tags=(("team", "a"),))
    batch_id = await house.submit("one", identity=who)
    await house.run(batch_id)
    (row,) = house.booked().values()
    assert (row.attribution.user, dict(row.attribution.tags)) == ("pinned", {"team": "a"})
    assert row.request_id == f"{batch_id}-1"
    assert line_of("a", "b").endswith(b"\n")
