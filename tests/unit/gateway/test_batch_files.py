"""Files, folders and logs of batches: a tenant's own, whole or not at all, not for ever."""

import asyncio
import os

import pytest
from spendgate.gateway.v1 import batch_pb2 as pb
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from gateway.batches.lines import BadLine, LineFile, read_line
from gateway.batches.log import Event, EventKind, JobLog, LogClosed
from gateway.batches.words import NotFound, Spec
from gateway.batches.workers import Workers
from gateway.door import Identity
from gateway.limits.rules import Rates
from tests.fakes.batch_house import BatchHouse, line_of

NONE = gateway_pb.RequestOptions()


@pytest.fixture
def house(tmp_path):
    return BatchHouse(tmp_path / "batches")


async def test_a_tenant_finds_its_own_only(house):
    """Files and jobs; also by a name that is a path."""
    file_id = await house.upload("secret")
    batch_id = await house.submit("secret")
    assert house.files.facts("acme", file_id).file_id == file_id
    for tenant, name in (("other", file_id), ("acme", f"../files/{file_id}"), ("acme", "file-.")):
        with pytest.raises(NotFound):
            house.files.facts(tenant, name)
    own = house.jobs.of("acme")[0].path
    for tenant, name in (("other", batch_id), ("acme", f"../jobs/{batch_id}"), ("acme", "")):
        with pytest.raises(NotFound):
            house.jobs.find(tenant, name)
    assert own.is_dir()
    assert house.files.all("other") == []


async def test_folders_are_the_gateways_alone(house):
    """What is in them was said in confidence."""
    await house.submit("secret")
    for folder, _, _ in os.walk(house.jobs.of("acme")[0].path.parents[1]):
        assert os.stat(folder).st_mode & 0o077 == 0


async def test_what_is_old_goes_and_a_job_keeps_its_lines(house, monkeypatch):
    """Ended jobs and files go; a job under way has its lines all the same."""
    ended = await house.submit("one")
    await house.run(ended)
    waits = await house.submit("two")
    later = house.files._now() + house.config.batch_seconds_kept_max + 10
    monkeypatch.setattr(house.files, "_now", lambda: later)
    workers = Workers(
        house.jobs, house.files, house.config, make_kit=lambda: house.kit, now=lambda: later
    )
    workers._sweep()
    assert house.files.all("acme") == []
    assert [job.batch_id for job in house.jobs.of("acme")] == [waits]
    assert (await house.run(waits)).progress.completed == 1


async def test_one_worker_a_job(house):
    """Whoever holds the lock has it; given back, another may."""
    batch_id = await house.submit("one")
    first, second = (house.jobs.find("acme", batch_id) for _ in range(2))
    assert first.lock()
    assert not second.lock()
    first.unlock()
    assert second.lock()
    second.unlock()


async def test_workers_take_a_job_up_and_end_it(house):
    """From the folder alone; a job whose work fails is taken up again."""
    batch_id = await house.submit("one")
    workers = Workers(house.jobs, house.files, house.config, make_kit=lambda: house.kit)
    workers.start()
    try:
        folder = house.jobs.find("acme", batch_id)
        while folder.state().state != pb.BATCH_STATE_COMPLETED:
            workers.wake()
            await asyncio.sleep(0.02)
    finally:
        await workers.stop()
    assert folder.lock()  # nobody has it any more
    folder.unlock()


async def test_a_torn_log_keeps_what_was_whole(tmp_path):
    """Cut at any byte of its last event, the one before stands and the next goes behind it."""
    path = tmp_path / "log"
    log = JobLog(path)
    assert list(log.open()) == []
    await log.append(Event(EventKind.CHECKED, {"total": 1}))
    whole = path.stat().st_size
    await log.append(Event(EventKind.PLANNED, {}))
    await log.close()
    with pytest.raises(LogClosed):
        await log.append(Event(EventKind.BEGUN, {}))
    content = path.read_bytes()
    for cut in range(whole, len(content)):
        path.write_bytes(content[:cut])
        torn = JobLog(path)
        assert [event.kind for event, _ in torn.open()] == [EventKind.CHECKED]
        (place,) = await torn.append(Event(EventKind.BEGUN, {"x": 1}))
        assert torn.read(place) == {"x": 1}
        await torn.close()
        again = JobLog(path)
        assert [event.kind for event, _ in again.open()] == [EventKind.CHECKED, EventKind.BEGUN]
        await again.close()


def test_a_spec_comes_back_as_it_was():
    """Whose it is, what the key pins, what was asked for."""
    who = Identity(
        "acme", "k", user="u", allowed_models=("a*",), limits=Rates(5), tags=(("t", "v"),)
    )
    options = gateway_pb.RequestOptions(feature="night", cost_max_nanos=7)
    spec = Spec("batch_1", who, "file-1", 1.5, 2.5, options, metadata={"a": "b"})
    assert Spec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("content", "code", "param"),
    [
        (b"{", "bad_json", ""),
        (b"[]", "bad_line", ""),
        (b"\n", "bad_json", ""),
        (line_of("", "x"), "bad_custom_id", "custom_id"),
        (line_of("a" * 513, "x"), "bad_custom_id", "custom_id"),
        (line_of("a", "x").replace(b"POST", b"GET"), "bad_method", "method"),
        (line_of("a", "x").replace(b"chat/", b""), "bad_url", "url"),
        (line_of("a", "x").replace(b'"url"', b'"canary": 1, "url"'), "bad_line", ""),
        (line_of("a", "x", stream=True), "invalid_request", "body.stream"),
        (line_of("a", "x", temperature="hot"), "invalid_request", "body.temperature"),
    ],
)
def test_what_a_line_can_have_wrong(content, code, param):
    """Named, and nothing of it quoted."""
    with pytest.raises(BadLine) as caught:
        read_line(3, content, NONE)
    fault = caught.value.fault
    assert (fault.line, fault.code, fault.param) == (3, code, param)
    assert "canary" not in fault.message


def test_lines_are_found_whatever_their_length(tmp_path):
    """Long, empty, without an end; what is over the limit is named, the rest can be read."""
    path = tmp_path / "x"
    path.write_bytes(b"a\n\n" + b"b" * 50 + b"\nlast")
    lines = LineFile(path, 20)
    lines.index(10)
    assert len(lines) == 4
    assert [lines.raw(1), lines.raw(2), lines.raw(4)] == [b"a\n", b"\n", b"last"]
    with pytest.raises(BadLine) as caught:
        lines.raw(3)
    assert caught.value.fault.code == "line_too_large"
    lines.index(2)
    assert len(lines) == 3  # more than there may be: nobody reads on


def test_options_of_a_line_go_before_those_of_the_job():
    """The body's user wins, the job's feature stays."""
    options = gateway_pb.RequestOptions(feature="night", user="job")
    line = read_line(1, line_of("a", "x", user="line"), options)
    assert (line.request.options.feature, line.request.options.user) == ("night", "line")
