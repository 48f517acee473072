"""`spendgate route explain` against a router on a real socket."""

import asyncio
import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from chassis.server import running
from cli import route_explain
from services.router.settings import RouterSettings
from services.router.wiring import build

FLEET = """
providers: {p: {base_url: "http://127.0.0.1:8090/v1"}}
models:
  small: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 1}}
  large: {provider: p, price: {input_usd_per_million: 10, output_usd_per_million: 10}}
  gone: {provider: p, retire_date: 2026-01-01}
baseline_model: large
routing: {policy: target}
"""


async def test_the_plan_is_shown_and_no_one_is_called(tmp_path: Path) -> None:
    """Candidates with money and quality, what was left out, as text and as JSON."""
    (tmp_path / "fleet.yaml").write_text(FLEET)
    app = typer.Typer()
    route_explain.register(app)
    async with running("router", RouterSettings(config=tmp_path / "fleet.yaml"), build) as server:
        arguments = ["route", "explain", "What is 2 + 2?", "--router", server.address]
        shown = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        told = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])
    assert shown.exit_code == 0, shown.output
    assert "large is the default" in shown.stdout
    assert "not gone: its provider switched it off" in shown.stdout
    found = json.loads(told.stdout)
    assert [each["candidate"]["model"] for each in found["prospects"]] == ["small", "large"]
    assert found["policy"] == "target"
