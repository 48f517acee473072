"""What a person reads: the figures, whose answers, whose prices."""

import dataclasses
import io

from rich.console import Console, RenderableType

from cli.demo_figures import Books, count_day
from cli.demo_outcome import Outcome, Source
from cli.demo_rows import load_day
from cli.demo_tables import BudgetPlan, ModelPrice, Setting, day_table, opening, report_table

SETTING = Setting(
    place="five services in /tmp/x",
    upstream="local",
    small_model="SmolLM2-135M",
    strong_model="gpt-5.4",
    prices=[ModelPrice("gpt-5.4", 2_500_000, 15_000_000, "list 1 / openai / gpt-5.4")],
    budgets=[BudgetPlan("reports-day", "reports", 3_000_000)],
)
FAQ = Books(
    ("faq",), 2, 1, 0, 1000, 50, 4_000_000, 9_000_000, {"cache": 2_000_000, "routing": 3_000_000}
)
CODE = Books(("code",), 1, 0, 0, 500, 10, 1_000_000, 1_000_000, {"cache": 0, "routing": 0})
TOTAL = Books(
    (), 3, 1, 0, 1500, 60, 5_000_000, 10_000_000, {"cache": 2_000_000, "routing": 3_000_000}
)


def shown(what: RenderableType) -> str:
    out = io.StringIO()
    Console(width=120, file=out, color_system=None).print(what)
    return out.getvalue()


def test_the_opening_says_whose_answers_and_whose_prices() -> None:
    """Nobody can take the small model's words for those of the models that are priced."""
    text = " ".join(shown(opening(SETTING)).split())
    assert "SmolLM2-135M" in text
    assert "gpt-5.4 $2.50 in $15.00 out" in text
    assert "by list 1, as if these models had answered" in text
    assert "reports-day: $0.0030 a day for feature reports" in text


def test_a_paid_upstream_is_named_as_such() -> None:
    """With a real provider the opening says that it bills, and what at worst."""
    paid = dataclasses.replace(
        SETTING, upstream="openai", small_model="", worst_case_nanos=400_000_000
    )
    text = " ".join(shown(opening(paid)).split())
    assert "billed to your account" in text
    assert "$0.4000, had every answer its full length" in text
    assert "as if" not in text


def test_the_day_table_shows_money_and_its_split() -> None:
    """Spent, the counterfactual, saved with its percentage and causes, refusals by budget."""
    rows = load_day().rows[:3]
    outcomes = [
        Outcome(rows[0], Source.PROVIDER, 400_000, "a", cost_nanos=5_000_000),
        Outcome(rows[1], Source.CACHE_EXACT, 9_000, "a"),
        Outcome(rows[2], Source.REFUSED, 3_000, budget_id="reports-day"),
    ]
    figures = count_day(outcomes, total=TOTAL, by_feature=[FAQ], by_model=[FAQ], wall_seconds=9)
    text = shown(day_table(figures, SETTING))
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert any(line.startswith("saved $0.005000 50.0%") for line in lines)
    assert any(line.startswith("by cache $0.002000 20.0%:") for line in lines)
    assert any(line.startswith("by routing $0.003000 30.0%:") for line in lines)
    assert any(line.startswith("refused 1 by the budget reports-day") for line in lines)
    assert any(line.startswith("p50, p95 of hits 9.0, 9.0 ms") for line in lines)
    assert any(line.startswith("p50, p95 of calls 400, 400 ms") for line in lines)
    assert "A million requests like these: $2,500.00 instead of $5,000.00." in text


def test_the_report_ends_with_its_sum() -> None:
    """The last line is the ledger's own total."""
    lines = [
        line.split() for line in shown(report_table("feature", [FAQ, CODE], TOTAL)).splitlines()
    ]
    assert lines[1][:5] == ["faq", "2", "1", "1,050", "$0.004000"]
    assert lines[-1] == [
        "all", "3", "1", "1,560", "$0.005000", "$0.002000", "$0.003000", "$0.010000",
    ]  # fmt: skip
