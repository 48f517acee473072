"""What Prometheus reads of a fleet that has worked, and what dashboards and alerts ask of it."""

import json
import re
from collections import defaultdict
from pathlib import Path

import aiohttp
import grpc
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb

from tests.e2e.house import SERVICES, bearer, prompt_of

# Tests share one loop, as they share the fleet.
pytestmark = pytest.mark.asyncio(loop_scope="session")

K8S = Path(__file__).parents[2] / "k8s"
NAME = re.compile(r"\b((?:spendgate|rpc|otel_sdk|process)_[a-z0-9_]+)\b")
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
GROUPED = re.compile(r"by \(([^)]*)\)")
# Prometheus adds these; a span is dropped in a fault only.
FOREIGN_LABELS = {"le", "job", "instance"}
FAULTS_ONLY = {"otel_sdk_processor_span_processed_total"}


async def samples_of(house):
    """Sample name -> its labels and the sum of its values, over all services."""
    found = defaultdict(lambda: [set(), 0.0])
    async with aiohttp.ClientSession() as session:
        for name in (*SERVICES, "gateway"):
            address = f"http://127.0.0.1:{house.ports[f'{name}-metrics']}/metrics"
            async with session.get(address) as response:
                page = await response.text()
            for family in text_string_to_metric_families(page):
                for sample in family.samples:
                    found[sample.name][0].update(sample.labels)
                    found[sample.name][1] += sample.value
    return found


def expressions():
    for path in (K8S / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]
    for group in yaml.safe_load((K8S / "alerts" / "rules.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


async def test_dashboards_and_alerts_ask_for_what_the_fleet_tells(house, tenant):
    """A panel on a metric or a label that does not exist is an empty panel for ever."""
    secret = await house.key(tenant)
    await house.budget(tenant, "all", 10**12)
    for _ in range(2):
        hit = await house.complete(secret, "What is a metric?", feature="faq")
    await house.gateway.SubmitFeedback(
        gateway_pb.SubmitFeedbackRequest(
            feedback_token=hit.summary.feedback_token, verdict=gateway_pb.VERDICT_BAD
        ),
        metadata=bearer(secret),
    )
    streamed = gateway_pb.StreamCompleteRequest(model="auto", prompt=prompt_of("What is a stream?"))
    async for _ in house.gateway.StreamComplete(streamed, metadata=bearer(secret)):
        pass
    with pytest.raises(grpc.aio.AioRpcError):
        await house.complete(secret, "What fails?", model="fail-400")
    told = await samples_of(house)
    labels = set().union(*(each[0] for each in told.values())) | FOREIGN_LABELS
    for where, expression in expressions():
        asked = set(NAME.findall(expression)) - labels
        assert asked, where
        asked -= FAULTS_ONLY
        assert asked <= told.keys(), where
        for name, selector in SELECTOR.findall(expression):
            wanted = set(re.findall(r"(\w+)=?[!~=]", selector))
            assert name in FAULTS_ONLY or wanted <= told[name][0], where
        for grouped in GROUPED.findall(expression):
            wanted = {each.strip() for each in grouped.split(",")} - FOREIGN_LABELS
            assert not asked or wanted <= set().union(*(told[name][0] for name in asked)), where


async def test_money_in_the_metrics_is_the_money_in_the_books(house, tenant):
    """What a dashboard shows as charged and saved is what the ledger booked."""
    secret = await house.key(tenant)
    before = await samples_of(house)
    for _ in range(2):
        await house.complete(secret, f"What is {tenant}?", feature="faq")
    after = await samples_of(house)
    entries = await house.entries(tenant)
    for name, booked in (
        ("spendgate_cost_nano_usd_total", sum(e.cost_nanos for e in entries)),
        (
            "spendgate_saved_nano_usd_total",
            sum(s.saved_nanos for e in entries for s in e.savings),
        ),
    ):
        assert after[name][1] - before[name][1] == booked
        assert booked > 0


async def test_a_refusal_by_a_budget_is_told_apart_from_a_failure(house, tenant):
    """Alerts leave out what the operator himself has asked for, by these names."""
    secret = await house.key(tenant)
    await house.budget(tenant, "none", 1)
    for model in ("auto", "fail-400"):
        with pytest.raises(grpc.aio.AioRpcError):
            await house.complete(secret, "What may I spend?", model=model)
    failures = "spendgate_requests_failed_total"
    async with aiohttp.ClientSession() as session:
        address = f"http://127.0.0.1:{house.ports['gateway-metrics']}/metrics"
        async with session.get(address) as response:
            page = await response.text()
    kinds = {
        re.search('error_type="([^"]*)"', line)[1]
        for line in page.splitlines()
        if line.startswith(failures) and f'"{tenant}"' in line
    }
    assert kinds == {"BUDGET_EXCEEDED"}
    rules = (K8S / "alerts" / "rules.yaml").read_text()
    assert "BUDGET_EXCEEDED" in rules


async def test_no_metric_names_a_user_or_a_key(house, tenant):
    """Labels are the operator's words: a user's id would be personal data and without bound."""
    secret = await house.key(tenant)
    await house.complete(secret, "Who am I?", feature="faq", user="a-very-private-user")
    async with aiohttp.ClientSession() as session:
        address = f"http://127.0.0.1:{house.ports['gateway-metrics']}/metrics"
        async with session.get(address) as response:
            page = await response.text()
    assert tenant in page
    assert "a-very-private-user" not in page
    assert secret not in page
    assert "key-" not in page
