from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.config import parse_config
from catalog.fleet import Fleet
from catalog.price import cost_nanos
from catalog.prices import UnknownModel
from catalog.schema import Capability
from catalog.usage import Usage
from services.router.choose import Decision, Exclusion, Ground, NoCandidate, Reason, Want, choose

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FLEET = """
providers: {p: {base_url: "http://127.0.0.1:8090/v1"}}
models:
  cheap:
    provider: p
    price: {input_usd_per_million: 1, output_usd_per_million: 1}
    capabilities: []
    context_window_tokens: 1000
    output_tokens_max: 500
    output_tokens_default: 100
    aliases: [fast]
  middle:
    provider: p
    price: {input_usd_per_million: 2, output_usd_per_million: 2}
    capabilities: [tools]
    context_window_tokens: 10000
    output_tokens_max: 5000
    output_tokens_default: 100
    fallbacks: [strong, cheap]
  strong:
    provider: p
    price: {input_usd_per_million: 10, output_usd_per_million: 10}
    capabilities: [tools, vision, json_schema]
    output_tokens_default: 100
  hidden:
    provider: p
    price: {input_usd_per_million: 0, output_usd_per_million: 0}
    routable: false
  gone:
    provider: p
    price: {input_usd_per_million: 0, output_usd_per_million: 0}
    retire_date: 2026-06-01
  riddle: {provider: p}
baseline_model: strong
"""


@cache
def fleet() -> Fleet:
    return Fleet.of(parse_config(FLEET))


def chosen(want: Want) -> Decision:
    return choose(fleet(), want, NOW)


def refused(want: Want) -> dict[str, Exclusion]:
    with pytest.raises(NoCandidate) as caught:
        chosen(want)
    return {exclusion.model: exclusion for exclusion in caught.value.exclusions}


def test_auto_takes_the_cheapest_and_keeps_the_next_as_fallbacks() -> None:
    """Of the models that can answer the cheapest is taken, the dearer ones follow by cost."""
    decision = chosen(Want("auto", 100))
    assert decision.chosen.card.name == "cheap"
    assert [each.card.name for each in decision.fallbacks] == ["middle", "strong"]
    assert decision.reason is Reason.CHEAPEST_CAPABLE
    assert decision.baseline_model == "strong"
    assert decision.chosen.expected_nanos == decision.chosen.worst_nanos == 200_000


def test_the_sentence_says_what_was_compared() -> None:
    """The explanation of an automatic choice has the numbers it was made on."""
    assert chosen(Want("auto", 100)).explanation == (
        "cheap is the cheapest of 3 models that can answer, expected at 0.0002 USD;"
        " next is middle at 0.0004 USD; 3 left out."
    )
    assert chosen(Want("auto", 100, needs=frozenset({Capability.VISION}))).explanation == (
        "strong is the only model that can answer, expected at 0.002 USD; 5 left out."
    )
    assert chosen(Want("fast", 100)).explanation == (
        "cheap was asked for as fast; expected at 0.0002 USD, at most 0.0002."
    )
    assert chosen(Want("riddle", 100)).explanation == (
        "riddle was asked for by name; its price is unknown."
    )


def test_everyone_left_out_is_told_with_the_reason_and_the_numbers() -> None:
    """Each model that cannot take the request is named with why, in the order of the names."""
    want = Want(
        "auto", 900, output_tokens_max=200, needs=frozenset({Capability.TOOLS}), cost_max_nanos=999
    )
    exclusions = refused(want)
    assert list(exclusions) == sorted(exclusions)
    told = {name: (each.ground, each.detail) for name, each in exclusions.items()}
    assert told == {
        "cheap": (Ground.CAPABILITY, "lacks tools"),
        "gone": (Ground.RETIRED, "its provider switched it off on 2026-06-01"),
        "hidden": (Ground.NOT_ROUTABLE, "the operator keeps it out of automatic choice"),
        "middle": (Ground.COST_MAX, "may cost 0.0022 USD, over the limit of 0.000000999"),
        "riddle": (Ground.CAPABILITY, "is not known to have tools"),
        "strong": (Ground.COST_MAX, "may cost 0.011 USD, over the limit of 0.000000999"),
    }


def test_windows_and_output_limits() -> None:
    """Prompt and answer must fit the window together, and the answer the output limit."""
    assert refused(Want("cheap", 900, output_tokens_max=101))["cheap"] == Exclusion(
        "cheap",
        Ground.CONTEXT_WINDOW,
        "reads 900 and may write 101 tokens, its window holds 1,000",
    )
    assert refused(Want("cheap", 1, output_tokens_max=501))["cheap"].detail == (
        "asked for 501 output tokens, it writes 500 at most"
    )
    assert chosen(Want("cheap", 900, output_tokens_max=100)).chosen.output_tokens_max == 100
    assert chosen(Want("cheap", 500, output_tokens_max=500)).chosen.output_tokens_max == 500


@pytest.mark.parametrize(("prompt", "asked_for"), [(100, 100), (900, 100), (950, 50), (999, 1)])
def test_without_a_limit_the_default_is_cut_to_the_room_left(prompt: int, asked_for: int) -> None:
    """A caller who set no limit is not refused for the default's sake while a token has room."""
    assert chosen(Want("cheap", prompt)).chosen.output_tokens_max == asked_for
    assert refused(Want("cheap", 1000))["cheap"].ground is Ground.CONTEXT_WINDOW


def test_a_named_model_is_taken_whatever_it_costs() -> None:
    """Naming a model or its alias fixes it; the operator's fallbacks follow in his order."""
    decision = chosen(Want("middle", 100))
    assert decision.chosen.card.name == "middle"
    assert decision.reason is Reason.FIXED
    assert [each.card.name for each in decision.fallbacks] == ["strong", "cheap"]
    assert not chosen(Want("fast", 100)).fallbacks
    assert chosen(Want("hidden", 100)).chosen.card.name == "hidden"


def test_a_fallback_must_be_able_too() -> None:
    """A listed fallback that cannot take the request is left out, and told."""
    decision = chosen(Want("middle", 100, needs=frozenset({Capability.TOOLS})))
    assert [each.card.name for each in decision.fallbacks] == ["strong"]
    assert [each.model for each in decision.exclusions] == ["cheap"]


def test_a_named_model_that_cannot_is_not_swapped_in_silence() -> None:
    """A named model that cannot take the request is refused, although its fallback could."""
    want = Want("middle", 100, needs=frozenset({Capability.VISION}))
    assert refused(want).keys() == {"middle"}
    assert refused(Want("gone", 100))["gone"].ground is Ground.RETIRED


def test_an_unpriced_model_is_taken_by_name_but_never_under_a_limit() -> None:
    """Unknown prices keep a model out of "auto" and out of any cost limit."""
    assert chosen(Want("riddle", 100)).chosen.worst_nanos is None
    exclusion = refused(Want("riddle", 100, cost_max_nanos=10**12))["riddle"]
    assert exclusion.ground is Ground.UNPRICED
    assert "priced_as" in exclusion.detail
    automatic = {each.model: each.ground for each in chosen(Want("auto", 100)).exclusions}
    assert automatic["riddle"] is Ground.UNPRICED


def test_unknown_capabilities_are_the_callers_risk_when_he_names_the_model() -> None:
    """A named model gets the benefit of the doubt that "auto" does not give."""
    needs = frozenset({Capability.TOOLS})
    assert chosen(Want("riddle", 100, needs=needs)).chosen.card.name == "riddle"


def test_the_limit_is_on_the_worst_case() -> None:
    """A limit equal to the worst case holds, one nano less does not."""
    worst = chosen(Want("cheap", 100, output_tokens_max=400)).chosen.worst_nanos
    assert worst == 500_000
    assert chosen(Want("cheap", 100, 400, cost_max_nanos=worst)).chosen.worst_nanos == worst
    assert refused(Want("cheap", 100, 400, cost_max_nanos=worst - 1))


def test_every_choice_counts() -> None:
    """Three answers are expected to cost three answers, and the prompt once."""
    candidate = chosen(Want("cheap", 100, output_tokens_max=400, choice_count=3)).chosen
    assert candidate.expected_nanos == 100_000 + 3 * 100_000
    assert candidate.worst_nanos == 100_000 + 3 * 400_000


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    """A typo is answered with the name that was probably meant."""
    with pytest.raises(UnknownModel) as caught:
        chosen(Want("midle", 100))
    assert caught.value.nearest == "middle"


def test_prices_are_those_of_the_moment() -> None:
    """The choice follows prices as they change from one day to the next."""
    made = Fleet.of(
        parse_config(
            """
providers: {p: {base_url: "http://x/v1"}}
models:
  a: {provider: p, price: {input_usd_per_million: 2, output_usd_per_million: 2}}
  b:
    provider: p
    price:
      - {input_usd_per_million: 1, output_usd_per_million: 1}
      - {start_date: 2027-01-01, input_usd_per_million: 3, output_usd_per_million: 3}
"""
        )
    )
    assert choose(made, Want("auto", 10), NOW).chosen.card.name == "b"
    later = choose(made, Want("auto", 10), datetime(2027, 1, 1, tzinfo=UTC))
    assert later.chosen.card.name == "a"
    assert later.baseline_model is None


def test_a_baseline_without_a_price_claims_nothing() -> None:
    """Savings are never told against a model whose price is unknown."""
    made = Fleet.of(parse_config(FLEET.replace("baseline_model: strong", "baseline_model: riddle")))
    assert choose(made, Want("auto", 10), NOW).baseline_model is None


wants = st.builds(
    Want,
    st.just("auto"),
    st.integers(1, 12_000),
    st.one_of(st.none(), st.integers(1, 6_000)),
    st.frozensets(st.sampled_from(Capability)),
    st.one_of(st.none(), st.integers(1, 10**8)),
    st.integers(1, 16),
)


@given(wants)
def test_every_model_is_accounted_for_and_every_promise_kept(want: Want) -> None:
    """Each model is chosen, a fallback or left out; the chosen ones keep all limits."""
    names = {card.name for card in fleet().models.all()}
    try:
        decision = chosen(want)
    except NoCandidate as error:
        assert {each.model for each in error.exclusions} == names  # noqa: PT017  both ends count
        return
    able = [decision.chosen, *decision.fallbacks]
    left_out = {each.model for each in decision.exclusions}
    assert left_out | {each.card.name for each in able} <= names
    assert not left_out & {each.card.name for each in able}
    costs = [each.expected_nanos for each in able]
    assert costs == sorted(costs)
    for each in able:
        assert want.needs <= (each.card.capabilities or frozenset())
        window = each.card.context_window_tokens or 10**9
        assert want.input_tokens + each.output_tokens_max <= window
        price = fleet().book.price(each.card.name, NOW)
        most = Usage(want.input_tokens, output_tokens=each.output_tokens_max * want.choice_count)
        assert each.worst_nanos is not None
        assert cost_nanos(price, most) <= each.worst_nanos <= (want.cost_max_nanos or 10**12)


OLD = FLEET.replace("aliases: [fast]", "deprecate_date: 2026-11-01\n    retire_date: 2027-01-31")


@pytest.mark.parametrize(
    ("routing", "model"),
    [("", "cheap"), ("routing: {deprecated: avoid}", "middle")],
)
def test_a_deprecated_model_is_named_so_or_avoided(routing: str, model: str) -> None:
    """With both dates; from its day on, not before."""
    old = Fleet.of(parse_config(OLD + routing))
    decision = choose(old, Want("auto", 10), NOW)
    assert decision.chosen.card.name == model
    told = "advises against it since 2026-11-01 and switches it off on 2027-01-31"
    if model == "cheap":
        assert told in decision.explanation
    else:
        (left,) = [each for each in decision.exclusions if each.ground is Ground.DEPRECATED]
        assert (left.model, told in left.detail) == ("cheap", True)
    before = choose(old, Want("auto", 10), datetime(2026, 10, 31, tzinfo=UTC))
    assert before.chosen.card.name == "cheap"
    assert "advises" not in before.explanation


def test_a_deprecated_model_that_alone_can_answer_still_does() -> None:
    """Avoided is not forbidden; nor is it for who names it."""
    config = OLD.replace("  middle:", "  middle:\n    routable: false").replace(
        "  strong:", "  strong:\n    routable: false"
    )
    old = Fleet.of(parse_config(config + "routing: {deprecated: avoid}"))
    assert choose(old, Want("auto", 10), NOW).chosen.card.name == "cheap"
    assert "advises against" in choose(old, Want("cheap", 10), NOW).explanation
