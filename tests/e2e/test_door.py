"""What a caller may ask besides an answer: what it would cost, how models compare, once only; and
who may ask at all."""

import asyncio
import json
import sys

import aiohttp
import grpc
import pytest
from grpc_status import rpc_status
from spendgate.gateway.v1 import compare_pb2, compare_pb2_grpc, estimate_pb2, estimate_pb2_grpc
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc

from tests.e2e.house import ROOT, House, bearer, prompt_of
from tests.fakes.issuer import ISSUER, Issuer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def post(house, path, secret, body, **headers):
    url = f"http://{house.address('http')}{path}"
    headers = {"Authorization": f"Bearer {secret}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        return response, await response.json()


def chat(text, **more):
    return {"messages": [{"role": "user", "content": text}], **more}


async def test_an_estimate_has_the_cost_in_its_bounds_and_books_nothing(house, tenant):
    """The call that is made after it costs what was said, between the least and the most."""
    secret = await house.key(tenant)
    calls = sum(house.upstream.calls.values())
    stub = estimate_pb2_grpc.EstimateServiceStub(house._channel)
    request = estimate_pb2.EstimateRequest(model="strong", prompt=prompt_of("How long is a day?"))
    found = await stub.Estimate(request, metadata=bearer(secret), timeout=30)
    assert found.input_exact or 0 < found.input_error_permille < 200
    assert found.input_tokens > 5
    assert (found.routed.model, found.cheapest.model) == ("strong", "cheap")
    assert found.cheapest.cost_max_nanos < found.routed.cost_max_nanos
    assert found.routed.cached_cost_min_nanos < found.routed.cost_min_nanos
    assert found.routed.price_version
    assert sum(house.upstream.calls.values()) == calls
    assert not await house.entries(tenant)
    summary = (await house.complete(secret, "How long is a day?", model="strong")).summary
    assert found.routed.cost_min_nanos <= summary.cost_nanos <= found.routed.cost_max_nanos
    _, told = await post(
        house, "/v1/estimate", secret, chat("How long is a day?", model="strong", max_tokens=7)
    )
    assert told["input_tokens"] == found.input_tokens
    assert told["routed"]["output_tokens_max"] == 7
    assert told["routed"]["cost_min_nanos"] == found.routed.cost_min_nanos


async def test_an_estimate_is_refused_as_a_request_would_be(house, tenant):
    """A price that is not known is an error, never 0."""
    secret = await house.key(tenant)
    stub = estimate_pb2_grpc.EstimateServiceStub(house._channel)
    request = estimate_pb2.EstimateRequest(model="unpriced", prompt=prompt_of("hello"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Estimate(request, metadata=bearer(secret), timeout=30)
    assert "MODEL_UNPRICED" in str(rpc_status.from_call(caught.value).details[0].value)
    response, told = await post(house, "/v1/estimate", "sg_wrong", chat("hello", model="cheap"))
    assert (response.status, told["error"]["code"]) == (401, "invalid_api_key")


async def test_models_side_by_side_each_booked_by_itself(house, tenant):
    """One that fails stands beside those that answered; the sum is what the books say."""
    secret = await house.key(tenant)
    stub = compare_pb2_grpc.CompareServiceStub(house._channel)
    request = compare_pb2.CompareRequest(
        models=["cheap", "strong", "fail-400"], prompt=prompt_of("Which is the largest river?")
    )
    found = await stub.Compare(request, metadata=bearer(secret), timeout=60)
    cheap, strong, failed = found.results
    assert cheap.response.summary.model == "cheap"
    assert strong.response.summary.model == "strong"
    assert "PROVIDER_REFUSED" in str(failed.error.details[0].value)
    entries = await house.entries(tenant)
    assert sum(entry.cost_nanos for entry in entries) == found.cost_nanos > 0
    assert len({entry.request_id for entry in entries}) == 3
    body = chat("Which is the largest lake?", models=["cheap", "chaep"])
    response, told = await post(house, "/v1/compare", secret, body)
    assert response.status == 200
    assert told["results"][0]["answer"]["choices"][0]["message"]["content"]
    assert told["results"][1]["status"] == 404
    assert told["results"][1]["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (chat("x", models=[]), "models"),
        (chat("x", models=["a"] * 2), "models"),
        (chat("x", models=[f"m{n}" for n in range(9)]), "models"),
        (chat("x", models=["cheap"], model="cheap"), "model"),
        (chat("x", models=["cheap"], stream=True), "stream"),
    ],
)
async def test_a_comparison_that_is_none(house, tenant, body, param):
    """The field is named."""
    secret = await house.key(tenant)
    response, told = await post(house, "/v1/compare", secret, body)
    assert (response.status, told["error"]["param"]) == (400, param)


async def test_sent_twice_made_once_over_both_doors(house, tenant):
    """The key holds over gRPC and HTTP alike; another body is refused with 409."""
    secret = await house.key(tenant)
    body = chat("Say it once.", model="cheap")
    keyed = {"Idempotency-Key": "once-1"}
    first, told = await post(house, "/v1/chat/completions", secret, body, **keyed)
    again, same = await post(house, "/v1/chat/completions", secret, body, **keyed)
    assert "x-spendgate-idempotent-replay" not in first.headers
    assert again.headers["x-spendgate-idempotent-replay"] == "true"
    assert same["id"] == told["id"]
    assert len(await house.entries(tenant)) == 1
    other, refused = await post(
        house, "/v1/chat/completions", secret, chat("Another.", model="cheap"), **keyed
    )
    assert (other.status, refused["error"]["code"]) == (409, "IDEMPOTENCY_MISMATCH")


def fleet_with(issuer, folder):
    (folder / "jwks.json").write_bytes(issuer.public())
    section = {
        "issuers": [
            {
                "issuer": ISSUER,
                "audiences": ["spendgate"],
                "jwks_file": str(folder / "jwks.json"),
                "tenant_claim": "org",
                "admin_claim": "role",
                "admin_values": ["admin"],
                "tag_claims": ["dept"],
            }
        ]
    }
    kept = "privacy: {tenants: {acme: {guard: true}}}\n"
    return f"auth: {json.dumps(section)}\n{kept}"


async def test_tokens_open_the_door_and_keys_outlive_a_gateway(tmp_path):
    """A signed token calls models and, with the role, keeps budgets; what it was answered under a
    key is told again after the gateway was killed; the audit log has who was not let in. Its tenant
    keeps addresses from providers."""
    issuer = Issuer()
    async with House(tmp_path, fleet_with(issuer, tmp_path)) as house:
        token = issuer.sign(dept="ops")
        request = pb.CompleteRequest(
            model="cheap",
            prompt=prompt_of("Once? I am ann@example.org."),
            options=pb.RequestOptions(idempotency_key="k-1"),
        )
        first = await house.gateway.Complete(request, metadata=bearer(token), timeout=30)
        went_out = json.dumps(house.upstream.seen[-1].body)
        assert "ann@example.org" not in went_out
        assert "[EMAIL_1]" in went_out
        (entry,) = await house.entries("acme")
        assert entry.attribution.user == "ann"
        assert entry.attribution.tags["claim.dept"] == "ops"

        desk = ledger_grpc.LedgerServiceStub(house._channel)
        ask = ledger_pb.ListBudgetsRequest()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await desk.ListBudgets(ask, metadata=bearer(token), timeout=30)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
        await desk.ListBudgets(ask, metadata=bearer(issuer.sign(role="admin")), timeout=30)
        forged = Issuer().sign(role="admin")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await desk.ListBudgets(ask, metadata=bearer(forged), timeout=30)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED

        house.kill("gateway")
        await house.restart("gateway")
        again = await house.gateway.Complete(request, metadata=bearer(token), timeout=30)
        assert again.summary.idempotent_replay
        assert again.summary.request_id == first.summary.request_id
        assert len(await house.entries("acme")) == 1
        log = await asyncio.to_thread(house.log("gateway").read_text)
        audit = [json.loads(line) for line in log.splitlines() if '"gateway.audit"' in line]
        assert [(line["what"], line["outcome"]) for line in audit] == [
            ("ledger.ListBudgets", "ADMIN_REQUIRED"),
            ("ledger.ListBudgets", "OK"),
            ("authenticate", "TOKEN_SIGNATURE"),
        ]
        for secret in (token, forged):
            assert secret not in log
            assert secret.rpartition(".")[2] not in log


async def spendgate(house, secret, *arguments):
    """The command line in a process of its own: its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        *arguments,
        "--gateway",
        house.address("gateway"),
        "--key",
        secret,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode() + told.decode()


async def test_the_command_line_estimates_and_compares(house, tenant):
    """Figures for people, JSON for programs, and an exit code that says when nobody answered."""
    secret = await house.key(tenant)
    code, told = await spendgate(house, secret, "estimate", "How far is the moon?")
    assert code == 0, told
    assert "tokens in" in told
    assert "cheapest" in told
    code, told = await spendgate(
        house, secret, "estimate", "How far is the moon?", "--model", "strong", "--json"
    )
    assert json.loads(told)["routed"]["model"] == "strong"
    code, told = await spendgate(
        house, secret, "compare", "How far is Mars?", "--model", "cheap", "--model", "strong"
    )
    assert code == 0, told
    assert told.count("── ") == 2
    assert "$" in told.splitlines()[-1]
    code, told = await spendgate(house, secret, "compare", "x", "--model", "fail-400")
    assert code == 1, told
    assert "failed" in told
