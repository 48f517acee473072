import json
import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from cli.calculator.payback import payback
from cli.calculator.reckon import history_hit, reckon
from cli.calculator.steps import BP, STEPS, Rate
from cli.calculator.workload import WorkloadError
from tests.unit.cli.calculator.works import USD, VECTORS, month, vectors, works

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", works())
def test_steps_add_up_and_nothing_is_saved_twice(name):
    """Every step's saving is of what was left; together they are all that was saved."""
    found = reckon(works()[name])
    for case in found.cases.values():
        assert sum(step.saved_nanos for step in case.steps) == case.saved_nanos
        assert case.left_nanos == found.baseline_nanos - case.saved_nanos >= 0
        assert case.steps[-1].left_nanos == case.left_nanos
    assert abs(sum(found.buckets.values()) - found.baseline_nanos) <= 2


def test_two_halves_leave_a_quarter():
    """The double counting that is avoided: 50 % and 50 % alone are not 100 %."""
    half = Rate(5000, 5000, 5000, "said")
    nothing = Rate(0, 0, 0, "said")
    rates = dict.fromkeys(STEPS, nothing) | {"caching": half, "batch": Rate(BP, BP, BP, "said")}
    case = reckon(month(rates=rates)).cases["expected"]
    alone = sum(step.alone_nanos for step in case.steps)
    assert alone == case.saved_nanos + case.left_nanos
    assert case.left_nanos * 3 == case.saved_nanos


def test_a_month_by_hand():
    """1,000 requests, 100 + 200 read, 50 written, at 2.5 and 15 USD a million: 1.50 USD."""
    mix = (("gpt-5.4", BP, works()["chat"].rows[0].prices),)
    found = reckon(month(mix, requests=1000, system=100, new=200, output=50))
    assert found.baseline_nanos == 1_500_000_000
    assert found.buckets == {
        "instructions": 250_000_000,
        "history": 0,
        "new": 500_000_000,
        "output": 750_000_000,
    }


def test_history_is_sent_again_each_turn_and_read_from_the_cache():
    """Three turns of 10 + 5: 15 tokens are sent again three times in three requests."""
    mix = (("gpt-5.4", BP, works()["chat"].rows[0].prices),)
    found = reckon(month(mix, requests=3, system=0, new=10, output=5, turns=3))
    assert found.buckets["history"] == 45 * 2500
    cached = reckon(month(mix, requests=3, system=0, new=10, output=5, turns=3, cached=BP))
    assert cached.buckets["history"] == 45 * 250


def test_hits_are_first_turns():
    """Served first turns carry no history; when all is served, no history is left."""
    assert history_hit(Fraction(1, 6), 6) == 0
    assert history_hit(Fraction(2, 6), 6) == Fraction(1, 15)
    assert history_hit(Fraction(1), 6) == 1
    assert history_hit(Fraction(1, 2), 1) == 0


def test_spending_scales_everything():
    """What was really paid is the month; the shares stay."""
    work = month(turns=4)
    real, paid = reckon(work), reckon(replace(work, spend_nanos=10_000 * USD))
    assert paid.baseline_nanos == 10_000 * USD
    share = Fraction(real.cases["expected"].saved_nanos, real.baseline_nanos)
    found = Fraction(paid.cases["expected"].saved_nanos, paid.baseline_nanos)
    assert abs(share - found) < Fraction(1, 10**9)


def test_a_dearer_model_is_not_routed_to():
    """Nothing is claimed where the cheaper model is not cheaper."""
    dear = works()["chat"].rows[0].prices
    case = reckon(month(cheap=dear)).cases["high"]
    assert next(step for step in case.steps if step.name == "routing").saved_nanos == 0


def test_work_that_never_pays_says_so():
    """Running the fleet for more than it saves has no payback, and a first year below zero."""
    work = month(requests=100)
    back = payback(work, reckon(work).cases["expected"])
    assert back.tenths_of_months is None
    assert back.year_percent < 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"turns": 0}, "turns"),
        ({"tool_bp": BP + 1}, "tool_bp"),
        ({"rows": ()}, "models"),
        ({"spend_nanos": 0}, "spend_nanos"),
        ({"hours": dict.fromkeys(STEPS, -1)}, "hours of caching"),
    ],
)
def test_what_is_out_of_range_is_named(change, field):
    """An error names the figure."""
    with pytest.raises(WorkloadError) as caught:
        replace(month(), **change)
    assert caught.value.field == field


def test_a_month_without_cost_is_an_error():
    """No shares of nothing."""
    with pytest.raises(WorkloadError):
        reckon(month(system=0, new=0, output=0))


def test_rates_go_from_low_to_high():
    """A low above the expected is a mistake, not a case."""
    with pytest.raises(WorkloadError):
        month(rates={"routing": Rate(5000, 4000, 6000, "said")})


def test_the_vectors_are_of_this_arithmetic():
    """When it fails on purpose: python -m tests.unit.cli.calculator.works."""
    assert json.loads(VECTORS.read_text()) == vectors()


def test_the_page_reckons_the_same():
    """docs/calculator/calculator.js finds every vector, to the nano."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    script = Path(__file__).with_name("check_page.js")
    page = ROOT / "docs/calculator/calculator.js"
    done = subprocess.run(
        [node, script, page, VECTORS], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_page_loads_nothing_from_elsewhere():
    """Its policy allows its own files only, and it has no script or style within."""
    text = (ROOT / "docs/calculator/index.html").read_text()
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in text
    assert "//" not in text.replace("<!doctype html>", "")
    assert "style=" not in text
    assert "onclick" not in text
