import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli import cost, prices


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    cost.register(app)
    prices.register(app)
    return app


def run(app: typer.Typer, usage: Any, *more: str, model: str = "gpt-5.4") -> Any:
    arguments = ["cost", "--provider", "openai", "--model", model, "--usage", json.dumps(usage)]
    return CliRunner().invoke(app, [*arguments, "--json", *more])


def test_a_call_is_billed_line_by_line(app: typer.Typer) -> None:
    """Cached tokens are part of the input; 200 at 2.5, 800 at 0.25, 100 at 15 USD a million."""
    usage = {"input_tokens": 1000, "cached_input_tokens": 800, "output_tokens": 100}
    found = json.loads(run(app, usage, "--at", "2026-11-01T00:00:00Z").stdout)
    assert (found["cost_usd"], found["cost_nanos"]) == ("0.0022", 2_200_000)
    assert [(line["bucket"], line["tokens"]) for line in found["breakdown"]] == [
        ("input_tokens", 200),
        ("cached_input_tokens", 800),
        ("output_tokens", 100),
    ]
    assert sum(line["picos"] for line in found["breakdown"]) == found["cost_nanos"] * 1000


def test_batch_costs_half(app: typer.Typer) -> None:
    """The factor of a tier is taken before rounding."""
    found = json.loads(run(app, {"input_tokens": 1000}, "--tier", "batch").stdout)
    assert found["cost_nanos"] == 1_250_000


@pytest.mark.parametrize(
    ("tier", "at", "nanos"),
    [
        # Published by model: 800 cached at 0.13 USD a million, not at half of 0.25.
        ("flex", "2026-11-01T00:00:00Z", 200 * 1_250 + 800 * 130),
        ("priority", "2026-11-01T00:00:00Z", 200 * 5_000 + 800 * 500),
        # Before the list began, what the provider says of all its models: half.
        ("flex", "2026-09-01T00:00:00Z", (200 * 2_500 + 800 * 250) // 2),
    ],
)
def test_a_tier_costs_what_is_published_of_the_model(
    app: typer.Typer, tier: str, at: str, nanos: int
) -> None:
    """To the nano; cached tokens have a rate of their own in a tier."""
    usage = {"input_tokens": 1000, "cached_input_tokens": 800}
    found = json.loads(run(app, usage, "--tier", tier, "--at", at).stdout)
    assert found["cost_nanos"] == nanos


def test_a_tier_nobody_has_priced_is_no_standard_price(app: typer.Typer) -> None:
    """An error that names the tiers that are known."""
    done = run(app, {"input_tokens": 1}, "--tier", "priority", "--at", "2026-09-01T00:00:00Z")
    assert done.exit_code != 0
    assert "tier priority at openai is unknown" in done.output


def test_reasoning_is_part_of_the_output(app: typer.Typer) -> None:
    """Counted once, at the price of output."""
    usage = {"output_tokens": 100, "reasoning_tokens": 60}
    assert json.loads(run(app, usage).stdout)["cost_nanos"] == 1_500_000


@pytest.mark.parametrize(
    ("usage", "more", "told"),
    [
        ({"input_tokens": 5, "cached_input_tokens": 6}, (), "impossible usage"),
        ({"input_tokens": -1}, (), "impossible usage"),
        ({"output_tokens": 1, "reasoning_tokens": 2}, (), "impossible usage"),
        ({"tokens": 1}, (), "is no usage key"),
        ({"input_tokens": 1.5}, (), "whole numbers"),
        ([], (), "whole numbers"),
        ({"input_tokens": 1}, ("--tier", "slow"), "no such tier"),
        ({"input_tokens": 1}, ("--at", "yesterday"), "RFC 3339"),
        ({"input_tokens": 1}, ("--at", "2026-01-01"), "needs a time zone"),
    ],
)
def test_what_cannot_be_billed_is_told(
    app: typer.Typer, usage: Any, more: tuple[str, ...], told: str
) -> None:
    """Impossible usage and unknown prices are errors with a reason, never 0."""
    done = run(app, usage, *more)
    assert done.exit_code != 0
    assert told in done.output


def test_an_unknown_model_is_told_with_the_nearest(app: typer.Typer) -> None:
    """A typo gets advice, not a price."""
    done = run(app, {"input_tokens": 1}, model="gpt-5.4x-imaginary")
    assert done.exit_code != 0
    assert "no such model" in done.output


def test_prices_diff_tells_rates_and_what_they_make_of_traffic(
    app: typer.Typer, tmp_path: Path
) -> None:
    """Changed rates by model, and a usage file priced both ways."""
    text = """
providers: {p: {base_url: "http://127.0.0.1:1/v1"}}
models:
  a: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 2}}
  b: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 2}}
  c: {provider: p}
"""
    (tmp_path / "old.yaml").write_text(text)
    (tmp_path / "new.yaml").write_text(text.replace("_million: 2}", "_million: 3}", 1))
    usage = [{"model": m, "input_tokens": 10, "output_tokens": 1000} for m in "abc"]
    (tmp_path / "usage.jsonl").write_text("\n".join(map(json.dumps, usage)))
    paths = [str(tmp_path / name) for name in ("old.yaml", "new.yaml")]
    done = CliRunner().invoke(
        app, ["prices", "diff", *paths, "--usage", str(tmp_path / "usage.jsonl"), "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [(each["model"], each["rates"]["output"]) for each in found["changes"]] == [
        ("a", ["2", "3"])
    ]
    assert found["traffic"] == {
        "calls": 3,
        "unpriced_calls": 1,
        "old_usd": "0.00402",
        "new_usd": "0.00502",
        "change_usd": "0.001",
    }
    shown = CliRunner().invoke(app, ["prices", "diff", *paths])
    assert "output" in shown.stdout


OWN = """
providers:
  mine:
    base_url: "http://127.0.0.1:1/v1"
    tier_percent: {priority: "175", batch: "33.33"}
models:
  m: {provider: mine, price: {input_usd_per_million: "2", output_usd_per_million: "8"}}
"""


@pytest.mark.parametrize(
    ("tier", "nanos"), [("standard", 2_000_000), ("priority", 3_500_000), ("batch", 666_600)]
)
def test_an_operators_own_price_and_tiers(
    app: typer.Typer, tmp_path: Path, tier: str, nanos: int
) -> None:
    """In percent of the standard price, exactly; a tier nobody priced stays unpriced."""
    path = tmp_path / "spendgate.yaml"
    path.write_text(OWN)
    usage = json.dumps({"input_tokens": 1000})
    told = ["cost", "--provider", "mine", "--model", "m", "--usage", usage, "--config", str(path)]
    done = CliRunner().invoke(app, [*told, "--tier", tier, "--json"])
    assert json.loads(done.stdout)["cost_nanos"] == nanos
    flex = CliRunner().invoke(app, [*told, "--tier", "flex"])
    assert flex.exit_code != 0
