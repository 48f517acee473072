"""`spendgate prices diff` on what a ledger has booked."""

import asyncio
import json
from functools import partial
from pathlib import Path

import grpc
import typer
from typer.testing import CliRunner

from chassis.server import running
from cli import prices
from services.ledger.settings import LedgerSettings
from services.ledger.wiring import build
from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    hit_item,
    reserve_item,
    settle_item,
)

FLEET = """
providers: {p: {base_url: "http://127.0.0.1:1/v1"}}
models:
  cheap: {provider: p, price: {input_usd_per_million: %s, output_usd_per_million: 2}}
"""


async def test_booked_traffic_is_priced_by_both_lists(tmp_path: Path) -> None:
    """What calls used, over all pages; hits used nothing."""
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(FLEET % 1)
    new.write_text(FLEET % 3)
    app = typer.Typer()
    prices.register(app)
    settings = LedgerSettings(
        database_url=f"sqlite:///{tmp_path}/ledger.db",
        key_pepper="a pepper of this test alone",
        config=old,
    )
    make = partial(build, clock=SetClock())
    async with (
        running("ledger", settings, make) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        ledger = Ledger(
            channel, tmp_path / "ledger.db", SetClock(), service.health, service.address
        )
        for tokens in (7, 20):
            item = reserve_item(30)
            await ledger.hold(item)
            attempt = an_attempt(tokens, counterfactuals=[])
            await ledger.charge(settle_item(item.hold_id, attempt))
        await ledger.book(hit_item(5))
        told = ["prices", "diff", str(old), str(new), "--tenant", "acme", "--since", "2026-01-01"]
        told += ["--ledger", service.address, "--json"]
        shown = await asyncio.to_thread(CliRunner().invoke, app, told)
    assert shown.exit_code == 0, shown.output
    traffic = json.loads(shown.stdout)["traffic"]
    assert traffic["calls"] == 2
    assert (traffic["old_usd"], traffic["new_usd"]) == ("0.000027", "0.000081")
    assert traffic["unpriced_calls"] == 0
