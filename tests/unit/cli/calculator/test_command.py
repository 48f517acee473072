import json

import pytest
import typer
from typer.testing import CliRunner

from cli import calc
from cli.calculator.given import PriceList
from cli.calculator.sources import from_breakdown
from cli.problems import EXIT_USAGE, Problem

PRICES = ["--price", "strong=2.5,15,0.25", "--price", "cheap=0.15,0.6"]
MIX = ["--model", "strong=80", "--model", "cheap=20", *PRICES]


def run(*arguments):
    app = typer.Typer()
    calc.register(app)
    return CliRunner().invoke(app, list(map(str, arguments)))


def found(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_spending_alone_is_enough():
    """The month is what was paid; cases go from low to high and the steps add up."""
    told = found("--spend", 1500, *MIX)
    assert told["baselineNanos"] == 1500 * 10**9
    saved = [told["cases"][case]["savedNanos"] for case in ("low", "expected", "high")]
    assert saved == sorted(saved)
    for case in told["cases"].values():
        assert sum(step["savedNanos"] for step in case["steps"]) == case["savedNanos"]


def test_the_roadmap_goes_by_dollars_for_an_hour():
    """Halving a step's hours can only move it up."""
    tasks = found("--requests", "1M", *MIX, "--wait", 20)["roadmap"]
    worth = [task["monthNanos"] // task["hours"] for task in tasks]
    assert worth == sorted(worth, reverse=True)
    assert tasks[-1]["soFarNanos"] == sum(task["monthNanos"] for task in tasks)
    last = tasks[-1]["step"]
    moved = found("--requests", "1M", *MIX, "--wait", 20, "--hours", f"{last}=0")["roadmap"]
    assert moved[0]["step"] == last


def test_own_assumptions_count():
    """What the user says replaces what was measured, and is said to."""
    told = found("--requests", 1000, *MIX, "--assume", "caching=100,100,100")
    assert told["cases"]["low"]["leftNanos"] == 0
    assert told["assumptions"]["caching"]["why"] == "as you said"


def test_people_see_tables_and_bars():
    """Without --json."""
    shown = run("--spend", 1500, *MIX).stdout
    assert "$1,500.00" in shown
    assert "█" in shown
    assert "paid after" in shown
    assert "--wait" in shown


def test_published_prices_are_found_by_name():
    """Without --price the catalogue tells; another provider's model is found too."""
    told = found("--requests", 1000, "--model", "claude-sonnet-4-5=50", "--model", "gpt-5.4=50")
    assert told["baselineNanos"] > 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--spend"),
        (["--spend", 5, "--from-ledger"], "more than one source"),
        (["--requests", 5, "--model", "nonsense-9"], "--price nonsense-9="),
        (["--requests", 5, *MIX[:2], *PRICES], "add up to 100"),
        (["--requests", 5, *MIX, "--cached", 101], "'101' is no percentage"),
        (["--requests", 5, *MIX, "--assume", "magic=1,2,3"], "steps: caching"),
        (["--requests", 5, *MIX, "--assume", "caching=9,2,3"], "low to high"),
        (["--requests", 5, *MIX, "--hours", "caching=x"], "is no number"),
        (["--requests", 5, "--price", "a=free"], "INPUT,OUTPUT"),
        (["--requests", 5, *MIX, "--xlsx", "/nowhere/at/all.xlsx"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_with_the_next_step(arguments, part):
    """Never a traceback, never a guess."""
    done = run(*arguments)
    assert done.exit_code != 0
    assert part in " ".join(done.stderr.split())


def usage_page(days):
    """OpenAI's shape: 1,000 requests a day, of 300 tokens read 100 were cached."""
    buckets = [
        {
            "start_time": 1_790_000_000 + day * 86_400,
            "results": [
                {
                    "model": "strong",
                    "num_model_requests": 1000,
                    "input_tokens": 300_000,
                    "input_cached_tokens": 100_000,
                    "output_tokens": 50_000,
                }
            ],
        }
        for day in range(days)
    ]
    return {"data": buckets}


def test_an_export_is_taken_to_a_month(tmp_path):
    """Three days of 200k at 2.5, 100k cached at .25 and 50k at 15 USD a million, times ten."""
    path = tmp_path / "usage.json"
    path.write_text(json.dumps(usage_page(3)))
    prices = ["--price", "openai/strong=2.5,15,0.25"]
    told = found("--usage", path, *prices)
    assert told["baselineNanos"] == 30 * (500_000_000 + 25_000_000 + 750_000_000)
    assert told["bucketNanos"]["instructions"] == 30 * 25_000_000
    turns = found("--usage", path, *prices, "--turns", 4)
    assert turns["bucketNanos"]["history"] == 30 * 25_000_000
    assert "3 days in the export" in told["notes"][0]


def test_an_exports_costs_are_the_month(tmp_path):
    """Where the costs are told too, everything is scaled to them."""
    usage, costs = tmp_path / "usage.json", tmp_path / "costs.json"
    usage.write_text(json.dumps(usage_page(1)))
    amount = {"value": 2.5, "currency": "usd"}
    bucket = {"start_time": 1_790_000_000, "results": [{"amount": amount, "line_item": "strong"}]}
    costs.write_text(json.dumps({"data": [bucket]}))
    told = found("--usage", usage, "--usage", costs, "--price", "openai/strong=2.5,15,0.25")
    assert told["baselineNanos"] == 75 * 10**9


def test_costs_alone_tell_no_tokens(tmp_path):
    """What cannot be reckoned is refused with what to give."""
    path = tmp_path / "costs.json"
    amount = {"value": 1, "currency": "usd"}
    bucket = {"start_time": 1_790_000_000, "results": [{"amount": amount, "line_item": "m"}]}
    path.write_text(json.dumps({"data": [bucket]}))
    done = run("--usage", path)
    assert done.exit_code == EXIT_USAGE
    assert "tell no tokens" in done.stderr


def test_the_books_month_is_what_was_booked():
    """Hits cost nothing and are not counted as still to be saved."""
    from datetime import UTC, datetime

    from spendgate.ledger.v1 import reading_service_pb2 as pb

    response = pb.BreakdownResponse()
    for name, cost in (("strong", "9000000000"), ("idle", "0")):
        sums = response.rows.add().sums
        sums.values.append(name)
        sums.request_count, sums.hit_count = 100, 40
        sums.input_tokens, sums.output_tokens = 30_000, 5000
        sums.cost_nanos = cost
    prices = PriceList(["strong=2.5,15,0.25"], datetime.now(UTC))
    month = from_breakdown(response, prices, 30)
    assert [(row.name, row.requests) for row in month.rows] == [("strong", 60)]
    assert month.spend_nanos == 9 * 10**9
    with pytest.raises(Problem):
        from_breakdown(pb.BreakdownResponse(), prices, 30)
