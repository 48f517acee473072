"""What leaves the ledger besides its answers: log lines and spans."""

import logging
from pathlib import Path

import pytest
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from chassis.log import JsonLines
from tests.fakes.ledger_clock import SetClock
from tests.fakes.otlp_sink import OtlpSink
from tests.integration.ledger.conftest import (
    PEPPER,
    Ledger,
    an_attempt,
    refusal,
    reserve_item,
    running_ledger,
    settle_item,
)

TRACE = "5" * 32
PARENT = f"00-{TRACE}-{'6' * 16}-01"


async def test_no_secret_reaches_a_log_line(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a key's, nor a wrong one's, nor the pepper, nor a piece of one."""
    with caplog.at_level(logging.DEBUG):
        request = pb.CreateKeyRequest(key_id="k", tenant="acme")
        secret = (await ledger.stub.CreateKey(request)).secret
        await ledger.stub.ResolveKey(pb.ResolveKeyRequest(secret=secret))
        wrong = "sg_CANARYCANARYCANARYCANARYCANARY"
        await refusal(ledger.stub.ResolveKey(pb.ResolveKeyRequest(secret=wrong)))
        await refusal(ledger.stub.CreateKey(pb.CreateKeyRequest(key_id=wrong, tenant="\x00")))
    lines = "\n".join(JsonLines("ledger").format(record) for record in caplog.records)
    assert "ResolveKey" in lines
    for hidden in (secret, wrong, PEPPER):
        pieces = [hidden[start : start + 8] for start in range(len(hidden) - 7)]
        assert not [piece for piece in pieces if piece in lines]


async def test_each_command_is_a_span_under_its_own_request(
    tmp_path: Path, clock: SetClock
) -> None:
    """With what it held, cost and saved, equal to the entry's to the nano."""
    async with OtlpSink() as sink:
        async with running_ledger(tmp_path, clock, otlp_endpoint=sink.endpoint) as ledger:
            await ledger.budget("company", 100_000)
            item = reserve_item(20, traceparent=PARENT)
            await ledger.hold(item)
            charge = settle_item(item.hold_id, an_attempt(7))
            charge.traceparent = PARENT
            settlement = await ledger.charge(charge)
            await ledger.reserve(reserve_item(1_000, traceparent=PARENT))
        spans = [span for span in sink.spans if span.trace_id == TRACE]
    held, settled, refused = spans
    assert {span.parent_id for span in spans} == {"6" * 16}
    assert {span.service for span in spans} == {"spendgate-ledger"}
    assert (held.name, held.attributes["spendgate.hold.nano_usd"]) == ("ledger.reserve", 20_000)
    assert held.attributes["spendgate.budget.left_nano_usd"] == 80_000
    assert settled.name == "ledger.settle"
    assert settled.attributes["spendgate.cost.nano_usd"] == settlement.charged_nanos == 7_000
    assert settled.attributes["spendgate.cost.saved_nano_usd"] == 0
    assert refused.attributes["error.type"]
    assert refused.attributes["spendgate.budget.id"] == "company"
