"""Batch jobs, over the doors a user has, through the whole fleet."""

import asyncio
import io
import json
import sys

import grpc
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from spendgate.gateway.v1 import batch_pb2 as pb
from spendgate.gateway.v1 import batch_pb2_grpc
from spendgate.ledger.v1 import entry_pb2

from tests.e2e.house import ROOT, House, bearer, until

BATCHES = """
batch: {providers: {upstream: endpoint}, poll_seconds: 1, yield_above_calls: 2}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def built(tmp_path_factory):
    """A fleet whose provider has a batch endpoint."""
    async with House(tmp_path_factory.mktemp("batches"), BATCHES) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def batches(built):
    async with grpc.aio.insecure_channel(built.address("gateway")) as channel:
        yield batch_pb2_grpc.BatchServiceStub(channel)


pytestmark = pytest.mark.asyncio(loop_scope="session")


def line(custom_id, text, model="cheap", **body):
    messages = [{"role": "user", "content": text}]
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": model, "messages": messages, "temperature": 0, **body},
    }


def jsonl(*lines):
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


async def submitted(batches, secret, *lines, **spec):
    async def pieces():
        yield pb.SubmitBatchRequest(spec=pb.BatchSpec(**spec))
        content = jsonl(*lines)
        for at in range(0, len(content), 100):
            yield pb.SubmitBatchRequest(lines=content[at : at + 100])

    made = await batches.SubmitBatch(pieces(), metadata=bearer(secret), timeout=20)
    return made.batch.batch_id


async def stands(batches, secret, batch_id):
    request = pb.GetBatchRequest(batch_id=batch_id)
    return (await batches.GetBatch(request, metadata=bearer(secret), timeout=20)).batch


async def ended(batches, secret, batch_id):
    async def look():
        found = await stands(batches, secret, batch_id)
        return found if found.HasField("end_time") else None

    return await until(look, seconds_max=30)


async def results(batches, secret, batch_id):
    request = pb.BatchResultsRequest(batch_id=batch_id)
    told = {}
    async for response in batches.BatchResults(request, metadata=bearer(secret), timeout=20):
        for each in response.lines:
            value = json.loads(each)
            told[value["custom_id"]] = value
    return told


def of_kind(entries, kind):
    return [entry for entry in entries if entry.attempt.kind == kind]


async def test_the_official_sdk_runs_a_job_at_batch_price(built):
    """Upload, create, wait, download: cached first, asked twice once, the rest at half price; all
    of it in the books, nothing left on hold."""
    secret = await built.key("sdk")
    await built.budget("sdk", "company", 10**12)
    warm = await built.complete(secret, "known before", model="cheap")
    content = jsonl(
        line("a", "first question"),
        line("b", "second question"),
        line("c", "first question"),
        line("d", "known before"),
    )
    url = f"http://{built.address('http')}/v1"
    async with AsyncOpenAI(base_url=url, api_key=secret, max_retries=0) as client:
        file = await client.files.create(file=("in.jsonl", io.BytesIO(content)), purpose="batch")
        assert (file.bytes, file.purpose) == (len(content), "batch")
        job = await client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"run": "1"},
        )
        assert job.status == "validating"

        async def look():
            found = await client.batches.retrieve(job.id)
            return found if found.status == "completed" else None

        done = await until(look)
        assert (done.request_counts.total, done.request_counts.completed) == (4, 4)
        assert done.metadata == {"run": "1"}
        assert done.error_file_id is None
        text = (await client.files.content(done.output_file_id)).text
        listed = [each.id async for each in client.batches.list(limit=1)]
        assert listed == [job.id]
        assert [each.id async for each in client.files.list()] == [done.output_file_id, file.id]
        await client.files.delete(file.id)
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve(file.id)
    told = [json.loads(each) for each in text.splitlines()]
    assert [each["custom_id"] for each in told] == ["a", "b", "c", "d"]
    bodies = {each["custom_id"]: each["response"]["body"] for each in told}
    said = {name: body["choices"][0]["message"]["content"] for name, body in bodies.items()}
    assert said["a"] == said["c"] != said["b"]
    assert said["d"] == warm.choices[0].message.content
    entries = await built.entries("sdk")
    items = of_kind(entries, entry_pb2.ENTRY_KIND_BATCH_ITEM)
    assert len(items) == 2
    for item in items:
        # What the standard price is more, to the nano that rounding may take.
        assert abs(item.counterfactual_nanos - 2 * item.cost_nanos) <= 1
        assert item.cost_nanos > 0
        assert item.attempt.trace_id == items[0].attempt.trace_id
    assert len(of_kind(entries, entry_pb2.ENTRY_KIND_SHARED_CALL)) == 1
    assert len(of_kind(entries, entry_pb2.ENTRY_KIND_CACHE_HIT)) == 1
    beside = done.model_extra["spendgate"]
    assert beside["cost_nanos"] == sum(item.cost_nanos for item in items)
    assert beside["savings"]["batch_price"] == sum(
        item.counterfactual_nanos - item.cost_nanos for item in items
    )
    assert beside["savings"]["duplicates"] > 0
    assert beside["savings"]["cache"] > 0
    assert beside["from"] == {"cache": 1, "duplicates": 1, "endpoint": 2, "calls": 0}
    settled, reserved = await built.spent("sdk", "company")
    assert (settled, reserved) == (warm.summary.cost_nanos + beside["cost_nanos"], 0)
    # What a job brought is in the cache for everybody of the tenant.
    again = await built.complete(secret, "second question", model="cheap")
    assert again.summary.cost_nanos == 0


async def test_one_bad_line_and_nothing_is_spent(built, batches):
    """Each is named by its number; the provider hears of none."""
    secret = await built.key("bad")
    before = len(built.upstream.batch_desk.batches), sum(built.upstream.calls.values())
    batch_id = await submitted(
        batches,
        secret,
        line("a", "good"),
        line("b", "canary-bad", model="nobody"),
        line("a", "again"),
        {**line("d", "x"), "url": "/v1/embeddings"},
        line("e", "x", stream=True),
    )
    found = await ended(batches, secret, batch_id)
    assert found.state == pb.BATCH_STATE_FAILED
    assert [(each.line, each.code) for each in found.errors] == [
        (2, "model_not_found"),
        (3, "duplicate_custom_id"),
        (4, "bad_url"),
        (5, "invalid_request"),
    ]
    assert "canary" not in str(found)
    after = len(built.upstream.batch_desk.batches), sum(built.upstream.calls.values())
    assert after == before
    assert await built.entries("bad") == []


async def test_a_stream_of_lines_passes_the_doors_layers(built, batches):
    """No key, no first spec, a piece too large: each with its status, and no file left."""
    secret = await built.key("layers")

    async def sent(key, *pieces):
        async def stream():
            for piece in pieces:
                yield piece

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await batches.SubmitBatch(stream(), metadata=bearer(key), timeout=20)
        return caught.value.code()

    spec = pb.SubmitBatchRequest(spec=pb.BatchSpec())
    lines = pb.SubmitBatchRequest(lines=b"x" * (2**20 + 1))
    before = len(list((built.folder / "batches").glob("*/files/*")))
    assert await sent("sg_nobody", spec) == grpc.StatusCode.UNAUTHENTICATED
    assert await sent(secret) == grpc.StatusCode.INVALID_ARGUMENT
    assert await sent(secret, lines) == grpc.StatusCode.INVALID_ARGUMENT
    assert await sent(secret, spec, lines) == grpc.StatusCode.INVALID_ARGUMENT
    assert await sent(secret, spec, spec) == grpc.StatusCode.INVALID_ARGUMENT
    assert len(list((built.folder / "batches").glob("*/files/*"))) == before


async def test_sent_twice_is_one_job(built, batches):
    """A submission that the channel sends again makes no second job."""
    secret = await built.key("again")
    spec = {"request_id": "r1"}
    first = await submitted(batches, secret, line("a", "once only"), **spec)
    assert await submitted(batches, secret, line("a", "once only"), **spec) == first
    await ended(batches, secret, first)
    request = pb.ListBatchesRequest()
    listed = await batches.ListBatches(request, metadata=bearer(secret), timeout=20)
    assert len(listed.batches) == 1


async def test_a_model_without_batch_price_is_called(built, batches):
    """Ordinary calls, booked as such; a call that fails for good fails its line alone."""
    secret = await built.key("calls")
    batch_id = await submitted(
        batches,
        secret,
        line("a", "hello", model="usage-missing"),
        line("b", "hello", model="fail-400"),
    )
    found = await ended(batches, secret, batch_id)
    assert found.state == pb.BATCH_STATE_COMPLETED
    assert (found.progress.completed, found.progress.failed) == (1, 1)
    assert found.progress.by_calls == 1
    told = await results(batches, secret, batch_id)
    assert told["a"]["response"]["status_code"] == 200
    assert told["b"]["response"]["status_code"] == 400
    assert "canary" not in json.dumps(told["b"])
    costs = [entry.cost_nanos for entry in await built.entries("calls")]
    assert sum(costs) == found.money.cost_nanos > 0


async def test_no_budget_no_job(built, batches):
    """A job whose worst case does not fit is refused whole: BUDGET_EXCEEDED, nothing spent."""
    secret = await built.key("poor")
    await built.budget("poor", "small", 1_000)
    batch_id = await submitted(batches, secret, line("a", "far too dear"))
    found = await ended(batches, secret, batch_id)
    assert found.state == pb.BATCH_STATE_FAILED
    assert found.errors[0].code == "budget_exceeded"
    assert await built.spent("poor", "small") == (0, 0)


async def test_another_tenants_job_is_none(built, batches):
    """BATCH_NOT_FOUND for the job, its file and its results."""
    mine, theirs = await built.key("mine"), await built.key("theirs")
    batch_id = await submitted(batches, mine, line("a", "secret of mine"))
    found = await ended(batches, mine, batch_id)
    for ask in (
        lambda: stands(batches, theirs, batch_id),
        lambda: results(batches, theirs, batch_id),
        lambda: submitted(batches, theirs, input_file_id=found.input_file_id),
        lambda: stands(batches, mine, "../../../etc"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask()
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    request = pb.ListBatchesRequest()
    listed = await batches.ListBatches(request, metadata=bearer(theirs), timeout=20)
    assert list(listed.batches) == []


async def test_cancelled_what_was_done_is_paid_and_kept(built, batches):
    """The provider's batch is cancelled; its finished line is there and booked, the others say
    why not, nothing stays on hold."""
    desk = built.upstream.batch_desk
    secret = await built.key("cancel")
    await built.budget("cancel", "company", 10**12)
    desk.held = True
    try:
        batch_id = await submitted(
            batches, secret, line("a", "one thing"), line("b", "another thing")
        )
        await until(lambda: any(each["status"] == "in_progress" for each in desk.batches.values()))
        reserved = (await built.spent("cancel", "company"))[1]
        assert reserved > 0
        request = pb.CancelBatchRequest(batch_id=batch_id)
        told = await batches.CancelBatch(request, metadata=bearer(secret), timeout=20)
        assert told.batch.state == pb.BATCH_STATE_CANCELLING
        found = await ended(batches, secret, batch_id)
    finally:
        desk.held = False
    assert found.state == pb.BATCH_STATE_CANCELLED
    lines = await results(batches, secret, batch_id)
    assert lines["a"]["response"]["status_code"] == 200
    assert lines["b"]["error"]["code"] == "batch_cancelled"
    assert await built.spent("cancel", "company") == (found.money.cost_nanos, 0)


async def test_the_command_line_waits_shows_and_writes(built, tmp_path):
    """`spendgate batch submit --wait -o`: progress, what was saved, the results as a file; a bad
    file names its line and exits 1."""
    secret = await built.key("cli")
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"

    async def cli(*arguments):
        where = ("--gateway", built.address("gateway"), "--key", secret)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "cli.main", "batch", *map(str, arguments), *where),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, error = await process.communicate()
        return process.returncode, told.decode(), error.decode()

    source.write_bytes(jsonl(line("x", "said by hand"), line("y", "said by hand")))
    code, told, error = await cli("submit", source, "--wait", "--out", out)
    assert (code, error) == (0, "")
    assert "completed: 2 of 2 lines" in told
    assert "1 asked before in the file, 1 at batch price" in told
    assert "by batch price" in told
    assert [json.loads(each)["custom_id"] for each in out.read_text().splitlines()] == ["x", "y"]
    source.write_bytes(b"{no json\n")
    code, told, error = await cli("submit", source, "--wait")
    assert code == 1
    assert "line 1: is no JSON in UTF-8 (bad_json)" in told
    assert "nothing was spent" in error
    code, told, _ = await cli("list")
    assert code == 0
    assert told.count("batch_") == 2


async def test_killed_at_any_moment_each_item_is_billed_once(built, batches):
    """kill -9 while the plan is made, while the provider works, while results are taken in: the
    job goes on, the provider gets each line once, the books have each line once."""
    desk = built.upstream.batch_desk
    secret = await built.key("kill")
    await built.budget("kill", "company", 10**12)
    made = len(desk.batches)
    known = sum(count for name, count in built.upstream.calls.items() if name[:6] == "batch/")
    desk.held = True
    count = 300
    lines = [line(f"i{n}", f"question number {n}") for n in range(count)]
    batch_id = await submitted(batches, secret, *lines, line("twice", "question number 7"))

    async def killed():
        built.kill("gateway")
        await built.restart("gateway")

    await asyncio.sleep(0.2)
    await killed()
    await until(lambda: len(desk.batches) > made, seconds_max=30)
    await killed()
    desk.held = False

    async def some_booked():
        rows = await built.entries("kill")
        return 0 < len(rows) < count + 1

    await until(some_booked, seconds_max=30)
    await killed()
    found = await ended(batches, secret, batch_id)
    assert found.state == pb.BATCH_STATE_COMPLETED
    assert found.progress.completed == count + 1
    assert len(desk.batches) == made + 1
    worked = sum(n for name, n in built.upstream.calls.items() if name[:6] == "batch/")
    assert worked == known + count
    entries = await built.entries("kill")
    assert len(of_kind(entries, entry_pb2.ENTRY_KIND_BATCH_ITEM)) == count
    assert len(of_kind(entries, entry_pb2.ENTRY_KIND_SHARED_CALL)) == 1
    assert len({entry.request_id for entry in entries}) == len(entries) == count + 1
    cost = sum(entry.cost_nanos for entry in entries)
    assert found.money.cost_nanos == cost

    async def given_back():
        return await built.spent("kill", "company") == (cost, 0)

    await until(given_back)
