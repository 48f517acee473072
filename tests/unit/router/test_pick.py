from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from catalog.config import ConfigError, parse_config
from catalog.fleet import Fleet
from catalog.schema import Complexity
from services.router.advice import Advice, Estimate
from services.router.choose import Decision, Ground, NoCandidate, Reason, Want, choose
from services.router.classes import complexity

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SMALL = """
providers: {p: {base_url: "http://127.0.0.1:8090/v1"}}
models:
  small: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 1}}
  middle: {provider: p, price: {input_usd_per_million: 3, output_usd_per_million: 3}, region: eu}
  large: {provider: p, price: {input_usd_per_million: 10, output_usd_per_million: 10}}
baseline_model: large
"""
# The article's table: USD for 1,000 tokens, context window, classes.
ARTICLE = {
    "gpt-4": ("30", "60", 8192, "complex expert"),
    "gpt-4-turbo": ("10", "30", 128000, "complex expert"),
    "gpt-3.5-turbo": ("1", "2", 16384, "simple moderate"),
    "gpt-3.5-turbo-instruct": ("1.5", "2", 4096, "trivial simple"),
    "claude-2": ("8", "24", 100000, "complex expert"),
    "claude-instant": ("0.8", "2.4", 100000, "trivial simple"),
}


def fleet(routing: dict[str, Any], text: str = SMALL) -> Fleet:
    document = yaml.safe_load(text)
    return Fleet.of(parse_config(yaml.safe_dump(document | {"routing": routing})))


def article() -> Fleet:
    models = {
        name: {
            "provider": "p",
            "price": {"input_usd_per_million": float(read), "output_usd_per_million": float(out)},
            "context_window_tokens": window,
            "output_tokens_default": 500,
        }
        for name, (read, out, window, _) in ARTICLE.items()
    }
    classes = {
        each.value: [name for name, row in ARTICLE.items() if each.value in row[3].split()]
        for each in Complexity
    }
    document = {
        "providers": {"p": {"base_url": "http://127.0.0.1:1/v1"}},
        "models": models,
        "routing": {"policy": "classes", "classes": classes, "most_capable": "gpt-4-turbo"},
    }
    return Fleet.of(parse_config(yaml.safe_dump(document)))


def told(**estimates: tuple[float, float]) -> Advice:
    return Advice(estimates={name: Estimate(q, s, 0.5) for name, (q, s) in estimates.items()})


def chosen(routing: dict[str, Any], advice: Advice | None = None, **want: Any) -> Decision:
    return choose(fleet({"policy": "target"} | routing), Want("auto", 1_000, **want), NOW, advice)


def test_target_takes_the_cheapest_that_is_sure_to_be_good_enough() -> None:
    """The lower bound counts, not the mean: middle is sure, small is not."""
    advice = told(small=(0.80, 0.05), middle=(0.81, 0.01), large=(0.82, 0.05))
    decision = chosen({"policy": "target"}, advice)
    assert (decision.chosen.card.name, decision.reason) == ("middle", Reason.TARGET_MET)
    assert "97 % of large's" in decision.explanation
    assert [each.card.name for each in decision.fallbacks] == ["small", "large"]


def test_target_takes_the_default_when_it_cannot_tell() -> None:
    """Wide uncertainty means the default, never the cheapest."""
    advice = told(small=(0.8, 0.2), middle=(0.8, 0.2), large=(0.8, 0.2))
    decision = chosen({}, advice)
    assert (decision.chosen.card.name, decision.reason) == ("large", Reason.TARGET_DEFAULT)


def test_target_takes_the_default_where_routing_does_not_pay() -> None:
    """Once the tenant's outcomes show no gain from routing, it says so and stops."""
    sure = {name: Estimate(0.8, 0.0, 1.0) for name in ("small", "middle", "large")}
    decision = chosen({}, Advice(estimates=sure, pays=False))
    assert decision.chosen.card.name == "large"
    assert "routing does not pay" in decision.explanation


def test_without_text_the_cheapest_capable_is_taken() -> None:
    """A request that brings nothing to predict from is routed by price."""
    assert chosen({}).reason is Reason.CHEAPEST_CAPABLE


@pytest.mark.parametrize(
    ("target", "model"),
    [
        ({"usd_per_1000_calls_max": 4}, "small"),
        ({"usd_per_1000_calls_max": 7}, "middle"),
        ({"cheaper_percent_min": 60}, "middle"),
        ({"cheaper_percent_min": 80}, "small"),
        ({"quality_percent_min": 50}, "small"),
        ({"quality_percent_min": 70, "of": "middle"}, "small"),
    ],
)
def test_targets_in_the_operators_words(target: dict[str, Any], model: str) -> None:
    """Money and savings limit what quality may be bought: 2,024 tokens a call."""
    advice = told(small=(0.5, 0.0), middle=(0.7, 0.0), large=(0.9, 0.0))
    assert chosen({"target": target}, advice).chosen.card.name == model


def test_cheapest_best_fixed_and_latency() -> None:
    """Each of the plain policies does what its name says."""
    advice = Advice(
        estimates=told(small=(0.5, 0), middle=(0.9, 0), large=(0.9, 0)).estimates,
        latency_ms={"large": 200.0, "middle": 900.0},
    )
    assert chosen({"policy": "cheapest"}, advice).chosen.card.name == "small"
    assert chosen({"policy": "best"}, advice).chosen.card.name == "middle"
    assert chosen({"policy": "best"}).chosen.card.name == "large"
    assert chosen({"policy": "latency"}, advice).chosen.card.name == "large"
    assert chosen({"policy": "fixed", "fixed": "middle"}).chosen.card.name == "middle"


def test_weighted_splits_traffic_by_its_shares_and_says_the_odds() -> None:
    """A key always draws the same model; over many keys the shares are met."""
    house = fleet({"policy": "weighted", "weights": {"small": 3, "large": 1}})
    wants = [Want("auto", 100, tenant="t", draw_key=str(n)) for n in range(400)]
    names = [choose(house, want, NOW).chosen.card.name for want in wants]
    assert names == [choose(house, want, NOW).chosen.card.name for want in wants]
    assert 270 < Counter(names)["small"] < 330
    assert choose(house, wants[0], NOW).propensities == {"large": 0.25, "small": 0.75}


@pytest.mark.parametrize(
    ("used", "model", "reason"),
    [
        (None, "large", Reason.TARGET_DEFAULT),
        (79, "large", Reason.TARGET_DEFAULT),
        (80, "small", Reason.BUDGET),
    ],
)
def test_a_used_up_budget_chooses_cheaper(used: int | None, model: str, reason: Reason) -> None:
    """From 80 % of the budget on the cheapest is taken, below that the target holds."""
    advice = told(small=(0.8, 0.3), middle=(0.8, 0.3), large=(0.8, 0.3))
    decision = chosen({"policy": "budget"}, advice, budget_used_percent=used)
    assert (decision.chosen.card.name, decision.reason) == (model, reason)


def test_a_feature_may_have_its_own_policy() -> None:
    """What holds for one feature leaves the others alone."""
    routing = {"policy": "best", "features": {"tags": {"policy": "cheapest"}}}
    assert chosen(routing, feature="tags").chosen.card.name == "small"
    assert chosen(routing, feature="chat").chosen.card.name == "large"


def test_tenants_regions_and_illness_leave_models_out() -> None:
    """Each is told as its own ground; when all are ill the least bad still gets the call."""
    house = fleet({"policy": "cheapest", "tenants": {"acme": ["middle", "large"]}})
    decision = choose(house, Want("auto", 10, tenant="acme"), NOW)
    assert decision.chosen.card.name == "middle"
    assert [(e.model, e.ground) for e in decision.exclusions] == [("small", Ground.TENANT)]
    decision = choose(house, Want("auto", 10, region="eu"), NOW)
    assert {e.ground for e in decision.exclusions} == {Ground.REGION}
    ill = {"small": "5 of 10 calls failed"}
    decision = choose(house, Want("auto", 10), NOW, None, ill)
    assert decision.chosen.card.name == "middle"
    assert decision.exclusions[0].ground is Ground.UNHEALTHY
    all_ill = dict.fromkeys(("small", "middle", "large"), "down")
    assert choose(house, Want("auto", 10), NOW, None, all_ill).chosen.card.name == "small"


def test_a_session_keeps_its_model_until_leaving_it_saves_more_than_its_cache() -> None:
    """With 19,000 of 20,000 tokens warm at a tenth the dearer model is the cheaper one."""
    text = SMALL.replace(
        "{input_usd_per_million: 3,",
        "{input_usd_per_million: 3, cached_input_usd_per_million: 0.3,",
    )
    house = fleet({"policy": "cheapest"}, text)

    def name(warm: int) -> str:
        want = Want("auto", 20_000, 10, session_model="middle", warm_input_tokens=warm)
        return choose(house, want, NOW).chosen.card.name

    assert name(0) == "small"
    assert name(1_000) == "small"
    assert name(19_000) == "middle"


@pytest.mark.parametrize(
    ("description", "tokens", "cost_max", "model"),
    [
        ("Classify sentiment of customer review", 14, None, "claude-instant"),
        ("Analyze complex business strategy", 17, None, "claude-2"),
        ("Summarize customer feedback", 8, 5_000_000, "gpt-3.5-turbo"),
    ],
)
def test_the_articles_three_examples(
    description: str, tokens: int, cost_max: int | None, model: str
) -> None:
    """Under its own table the `classes` policy takes what the article's code takes."""
    want = Want("auto", tokens, description=description, cost_max_nanos=cost_max)
    decision = choose(article(), want, NOW)
    assert (decision.chosen.card.name, decision.reason) == (model, Reason.CLASS)


def test_classes_fall_back_to_the_most_capable_or_refuse() -> None:
    """A prompt too long for its class goes to the most capable; without one it is refused."""
    long = Want("auto", 120_000, description="classify this")
    decision = choose(article(), long, NOW)
    assert (decision.chosen.card.name, decision.reason) == ("gpt-4-turbo", Reason.MOST_CAPABLE)
    strict = fleet({"policy": "classes", "classes": {"expert": ["large"]}})
    with pytest.raises(NoCandidate) as caught:
        choose(strict, Want("auto", 10, description="count"), NOW)
    assert {each.detail for each in caught.value.exclusions} == {"is not a model for simple tasks"}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("True or false?", Complexity.TRIVIAL),
        ("EXTRACT names", Complexity.SIMPLE),
        ("translate", Complexity.MODERATE),
        ("generate code", Complexity.COMPLEX),
        ("multi-step", Complexity.EXPERT),
        ("complex analysis", Complexity.EXPERT),
        ("hello", Complexity.MODERATE),
    ],
)
def test_the_words_of_the_classes(words: str, found: Complexity) -> None:
    """The first list with a matching word counts, whatever the letter case."""
    assert complexity(words) is found


@pytest.mark.parametrize(
    ("routing", "problem"),
    [
        ({"policy": "fixed"}, "policy fixed needs fixed"),
        (
            {"policy": "fixed", "fixed": "smal"},
            "routing.fixed: no model of this name, did you",
        ),
        ({"weights": {"x": 1}}, "routing.weights.x: no model of this name"),
        ({"tenants": {"t": ["nope"]}}, "routing.tenants.t.0: no model of this name"),
        ({"features": {"f": {"target": {"of": "larg"}}}}, "routing.features.f.target.of"),
        ({"policy": "smart"}, "routing.policy: must be"),
    ],
)
def test_a_broken_policy_is_told_by_its_path(routing: dict[str, Any], problem: str) -> None:
    """A policy that names no known model or lacks what it needs does not start."""
    with pytest.raises(ConfigError) as caught:
        fleet(routing)
    assert problem in str(caught.value)
