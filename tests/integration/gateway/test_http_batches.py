"""Files and batches at the HTTP door: what it takes and how it refuses."""

import aiohttp
import pytest
from spendgate.gateway.v1 import batch_pb2 as pb

from gateway.batches.store import moment
from gateway.errors import ERRORS
from gateway.http.edge import Edge
from gateway.http.intake import EdgeLimits, Intake
from gateway.http.openai_batches import OpenAIBatches, render_batch
from gateway.http.openai_files import OpenAIFiles
from gateway.http.server import HttpServer
from tests.fakes.batch_house import BatchHouse, line_of
from tests.fakes.http_door import KEY, FakeDoor

AUTH = {"Authorization": f"Bearer {KEY}"}
WISH = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.fixture
async def door(tmp_path):
    """(house, client) of one tenant."""
    house = BatchHouse(tmp_path)
    intake = Intake(FakeDoor(), EdgeLimits())
    parts = [OpenAIFiles(intake, house.office), OpenAIBatches(intake, house.office)]
    server = HttpServer(Edge(parts, ERRORS, EdgeLimits(), ready=lambda: True), EdgeLimits())
    await server.start("127.0.0.1:0")
    async with aiohttp.ClientSession(f"http://{server.address}", headers=AUTH) as client:
        yield house, client
    await server.stop()


async def upload(client, content, purpose="batch"):
    form = aiohttp.FormData()
    form.add_field("file", content, filename="x.jsonl")
    form.add_field("purpose", purpose)
    async with client.post("/v1/files", data=form) as response:
        return response.status, await response.json()


async def told(client, method, path, **options):
    async with client.request(method, path, **options) as response:
        return response.status, await response.json()


async def test_a_file_comes_and_goes(door):
    """Its facts, its bytes, its end."""
    _, client = door
    content = line_of("a", "hello")
    status, facts = await upload(client, content)
    assert (status, facts["bytes"], facts["filename"]) == (200, len(content), "x.jsonl")
    async with client.get(f"/v1/files/{facts['id']}/content") as response:
        assert await response.read() == content
    assert (await told(client, "DELETE", f"/v1/files/{facts['id']}"))[1]["deleted"] is True
    status, error = await told(client, "GET", f"/v1/files/{facts['id']}")
    assert (status, error["spendgate"]["reason"]) == (404, "BATCH_NOT_FOUND")


@pytest.mark.parametrize(
    ("content", "purpose", "status", "code"),
    [
        (b"x" * 5_000, "batch", 400, "REQUEST_INVALID"),
        (b"x", "fine-tune", 400, "bad_purpose"),
        (b"x", "b" * 100, 400, "bad_purpose"),
    ],
)
async def test_a_file_that_is_not_taken_leaves_nothing(door, content, purpose, status, code):
    """Too large, of another purpose: refused, and gone."""
    house, client = door
    found, error = await upload(client, content, purpose)
    assert (found, error["error"]["code"]) == (status, code)
    assert house.files.all("acme") == []


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"completion_window": "30d"}, "completion"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {"a": "b" * 600}}, "metadata"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_a_wish_that_cannot_be(door, change, param):
    """400 with the field's name."""
    _, client = door
    _, facts = await upload(client, line_of("a", "hello"))
    wish = {**WISH, "input_file_id": facts["id"], **change}
    status, error = await told(client, "POST", "/v1/batches", json=wish)
    assert (status, error["error"]["param"]) == (400, param)


async def test_a_job_over_http_with_its_limits(door):
    """Made, listed, cancelled; the third at once is BATCH_LIMIT_REACHED; no file, no job."""
    _, client = door
    _, facts = await upload(client, line_of("a", "hello"))
    wish = {**WISH, "input_file_id": facts["id"], "metadata": {"run": "7"}}
    headers = {"x-spendgate-feature": "nightly"}
    made = [
        (await told(client, "POST", "/v1/batches", json=wish, headers=headers))[1]["id"]
        for _ in range(2)
    ]
    status, error = await told(client, "POST", "/v1/batches", json=wish)
    assert (status, error["spendgate"]["reason"]) == (429, "BATCH_LIMIT_REACHED")
    _, page = await told(client, "GET", "/v1/batches?limit=1")
    assert (page["data"][0]["id"], page["has_more"]) == (made[1], True)
    _, page = await told(client, "GET", f"/v1/batches?after={made[1]}")
    assert [each["id"] for each in page["data"]] == [made[0]]
    _, job = await told(client, "POST", f"/v1/batches/{made[0]}/cancel")
    assert (job["status"], job["metadata"]) == ("cancelling", {"run": "7"})
    lost = {**WISH, "input_file_id": "file-" + "0" * 32}
    assert (await told(client, "POST", "/v1/batches", json=lost))[0] == 404
    for path in ("/v1/batches?limit=x", "/v1/batches?after=../x", "/v1/files?limit=0"):
        assert (await told(client, "GET", path))[0] == 400
    async with client.post("/v1/files", data=b"no form") as response:
        assert response.status == 400
    async with client.get("/v1/batches", headers={"Authorization": "Bearer no"}) as response:
        assert response.status == 401


def test_how_a_job_is_told():
    """Names and times are OpenAI's; what was saved stands beside."""
    batch = pb.Batch(
        batch_id="batch_1",
        state=pb.BATCH_STATE_EXPIRED,
        create_time=moment(100),
        expire_time=moment(5_500),
        end_time=moment(6_000),
        errors=[pb.BatchError(line=3, code="bad_json", message="is no JSON")],
    )
    batch.money.saved_by_cache_nanos = 5
    job = render_batch(batch)
    assert (job["status"], job["expired_at"], job["completed_at"]) == ("expired", 6_000, None)
    assert job["completion_window"] == "90m"
    assert job["errors"]["data"][0]["line"] == 3
    assert (job["spendgate"]["saved_nanos"], job["spendgate"]["savings"]["cache"]) == (5, 5)
