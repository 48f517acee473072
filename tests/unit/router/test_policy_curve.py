"""Quality against dollars, and what is proposed from it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.config import parse_config
from catalog.fleet import Fleet
from services.router.candidate import Want
from services.router.learn.prior import Prior
from services.router.mind import Mind, ProposalUnknown
from services.router.own.log import OutcomeLog
from services.router.own.policy_curve import BOUNDS, Curve, Point, policy_curve, propose
from services.router.own.summary import best_probabilities

MODELS = ["large", "small"]
NANOS = {"large": 1_000, "small": 100}


def labelled(count: int = 400, *, share: float = 1.0) -> tuple[Any, Any, Any]:
    """Half the prompts easy (both models right), half hard."""
    rng = np.random.default_rng(0)
    hard = np.arange(count) % 2
    vectors = rng.normal(0, 0.2, (count, 6)).astype(np.float32)
    vectors[:, 0] += np.where(hard, 3, -3)
    scores = np.ones((count, 2), np.float32)
    scores[:, 1] = 1 - hard
    scores[rng.random(count) > share, 1] = np.nan
    return vectors, scores, np.ones(count, np.float32)


def curve_of(**more: Any) -> Curve | None:
    rng = np.random.default_rng(1)
    return policy_curve(labelled(**more), MODELS, NANOS, "large", rng)


@pytest.mark.parametrize(("share", "most_nanos"), [(1.0, 580), (0.3, 900)])
def test_the_curve_tells_what_half_the_prompts_would_save(share: float, most_nanos: int) -> None:
    """Easy ones to the small model, hard ones stay: 55 % of the money, no quality lost. Where
    only a third of the small model's answers are labelled, less is sure and less is saved."""
    curve = curve_of(share=share)
    assert curve is not None
    assert [point.quality_percent_min for point in curve.points] == list(BOUNDS)
    at_80 = curve.points[0]
    assert 520 < at_80.nanos < most_nanos
    assert at_80.quality == pytest.approx(1.0, abs=0.05)
    assert at_80.low <= at_80.quality <= at_80.high
    assert curve.baseline.nanos == 1_000


def test_without_labels_or_prices_there_is_no_curve() -> None:
    """Nothing is made up."""
    rng = np.random.default_rng(1)
    assert policy_curve(labelled(60), MODELS, NANOS, "large", rng) is None
    assert policy_curve(labelled(), MODELS, {}, "large", rng) is None
    assert policy_curve(labelled(), MODELS, NANOS, None, rng) is None
    assert policy_curve(labelled(), MODELS, {"large": 1_000}, "large", rng) is None


def point(bound: int, quality: float, nanos: int, half: float = 0.01) -> Point:
    return Point(bound, quality, quality - half, quality + half, nanos)


BASELINE = point(100, 0.9, 1_000)


@pytest.mark.parametrize(
    ("points", "present", "proposed"),
    [
        # A lower bound keeps 97 % of 0.9 for certain and saves.
        ([point(90, 0.89, 500), point(97, 0.9, 900)], 97, 90),
        # It saves too little to be worth a change.
        ([point(90, 0.89, 880), point(97, 0.9, 900)], 97, None),
        # It saves and does not keep what is wanted.
        ([point(90, 0.80, 100), point(97, 0.9, 900)], 97, None),
        # Its interval reaches below what is wanted.
        ([point(90, 0.89, 500, half=0.05), point(97, 0.9, 900)], 97, None),
        # The present bound falls short: a dearer one is proposed.
        ([point(90, 0.80, 100), point(97, 0.9, 900)], 90, 97),
    ],
)
def test_a_proposal_saves_or_mends(points: list[Point], present: int, proposed: int | None) -> None:
    """Never at the price of what the operator wants."""
    found = propose(Curve(points, BASELINE, 400), present, 97, 3)
    assert (found.expected.quality_percent_min if found else None) == proposed
    if found is not None:
        assert found.proposal_id == f"v3-{proposed}"


def test_how_sure_it_is_which_model_is_best() -> None:
    """Few labels prove little, many prove much; together they are certain."""
    few = best_probabilities({"a": [1.0, 1.0, 0.0], "b": [1.0, 0.0, 0.0], "c": []})
    many = best_probabilities({"a": [1.0, 1.0, 0.0] * 60, "b": [1.0, 0.0, 0.0] * 60})
    assert 0.5 < few["a"] < 0.95
    assert many["a"] > 0.99
    assert sum(few.values()) == pytest.approx(1.0)
    assert best_probabilities({}) == {}


FLEET = """
providers: {p: {base_url: "http://127.0.0.1:1/v1"}}
models:
  small: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 1}}
  large: {provider: p, price: {input_usd_per_million: 10, output_usd_per_million: 10}}
baseline_model: large
routing: {policy: target}
"""
AT = datetime(2026, 11, 1, tzinfo=UTC)


def mind_with_a_curve(path: Path) -> Mind:
    mind = Mind(Fleet.of(parse_config(FLEET)), Prior.shipped(), OutcomeLog(path), AT)
    points = [point(90, 0.89, 500), point(97, 0.9, 900)]
    mind._tenant("acme").curve = Curve(points, BASELINE, 400)
    return mind


def test_an_applied_proposal_holds_for_its_tenant_and_over_a_restart(tmp_path: Path) -> None:
    """Another tenant keeps the fleet file's bound; applying again changes nothing."""
    path = tmp_path / "outcomes.jsonl"
    mind = mind_with_a_curve(path)
    found = mind.proposal("acme")
    assert found is not None
    with pytest.raises(ProposalUnknown):
        mind.apply("acme", "v1-95", AT)
    with pytest.raises(ProposalUnknown):
        mind.apply("other", found.proposal_id, AT)
    for _ in range(2):
        assert mind.apply("acme", found.proposal_id, AT).quality_percent_min == 90
    assert mind.proposal("acme") is None
    again = Mind(Fleet.of(parse_config(FLEET)), Prior.shipped(), OutcomeLog(path), AT)
    assert again.bound("acme").version == 1
    assert again.bound("other").quality_percent_min == 97
    wants = [Want("auto", 10, tenant=name, text="a prompt") for name in ("acme", "other")]
    bounds = [each.advice.quality_percent_min for each in again.read(wants) if each]
    assert bounds == [90, None]


def test_another_fleet_file_keeps_what_was_learned(tmp_path: Path) -> None:
    """The same tenants and outcomes; only models and their strengths are those of the new file.
    Who reads with the old view goes on with it."""
    mind = mind_with_a_curve(tmp_path / "outcomes.jsonl")
    newest = "newest: {provider: p, price: {input_usd_per_million: 9, output_usd_per_million: 9}}"
    changed = FLEET.replace("models:", f"models:\n  {newest}", 1)
    other = mind.under(Fleet.of(parse_config(changed)), AT)
    assert other.bound("acme") == mind.bound("acme")
    assert other._tenants is mind._tenants
    assert "newest" in other._names
    assert "newest" not in mind._names
    assert len(other._strengths) == len(mind._strengths) + 1
