"""What could be saved, out of sums."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.price import Rates
from services.ledger.insight.facts import (
    MONTH_US,
    Facts,
    Model,
    Part,
    Repeats,
    Static,
    Use,
    Users,
    priced,
)
from services.ledger.insight.opportunities import lacking, opportunities
from services.ledger.insight.opportunity import Opportunity, OpportunityKind
from services.ledger.insight.review import Spent, changes, outcomes
from services.ledger.rules.values import Tokens

USD = 10**9
STRONG = Model(
    "strong",
    Rates(10**7, 10**6, 10**7, 10**7, 4 * 10**7, 10**7, 10**7),
    batch_percent=50,
    capabilities=frozenset({"tools"}),
    generation=(4,),
)
CHEAP = Model("cheap", Rates(*[10**6] * 7), capabilities=frozenset({"tools", "vision"}))
MODELS = {"strong": STRONG, "cheap": CHEAP}


def _part(calls: int, read: int, written: int) -> Part:
    tokens = Tokens(input_tokens=read, output_tokens=written)
    return Part(calls, priced(tokens, STRONG.rates), tokens)


def _use(**more) -> Use:
    return replace(Use("chat", "strong", "p", _part(1_000, 10**6, 10**5)), **more)


def _facts(*uses: Use, **more) -> Facts:
    cost = sum(use.all.cost_nanos for use in uses)
    return Facts(**{"span_us": MONTH_US, "cost_nanos": cost, "uses": uses, "models": MODELS} | more)


def _found(facts: Facts, kind: OpportunityKind) -> list[Opportunity]:
    return [each for each in opportunities(facts, 1_500 * USD) if each.kind is kind]


def test_short_answers_go_to_the_cheapest_that_can_do_the_same() -> None:
    """A model that lacks a capability is none."""
    use = _use(short=_part(900, 9 * 10**5, 2 * 10**4))
    (told,) = _found(_facts(use), OpportunityKind.STRONG_MODEL)
    short = use.short.cost_nanos - priced(use.short.tokens, CHEAP.rates)
    assert (told.low_nanos, told.month_nanos) == (short // 2, short)
    assert told.high_nanos == use.all.cost_nanos - priced(use.all.tokens, CHEAP.rates)
    blind = replace(CHEAP, capabilities=frozenset())
    facts = _facts(use, models={"strong": STRONG, "cheap": blind})
    assert not _found(facts, OpportunityKind.STRONG_MODEL)


def test_what_a_provider_already_caches_is_no_opportunity() -> None:
    """Only static prompts of which less than half comes from its cache."""
    static = Static("chat", "strong", calls=100, system_tokens=200_000, cached_tokens=0)
    (told,) = _found(_facts(_use(), static=[static]), OpportunityKind.PROMPT_CACHE)
    # 99 of 100 reads of 2,000 tokens at 9 micro-USD less each, one write at full price.
    assert told.high_nanos == 99 * 2_000 * 9_000 - 2_000 * 10_000
    cached = replace(static, cached_tokens=150_000)
    assert not _found(_facts(_use(), static=[cached]), OpportunityKind.PROMPT_CACHE)


def test_a_batch_tier_is_told_where_nobody_waits() -> None:
    """Half the price of the calls that name neither user nor session."""
    alone = _part(950, 9 * 10**5, 9 * 10**4)
    use = _use(alone=alone, unstreamed=alone)
    (told,) = _found(_facts(use), OpportunityKind.BATCH)
    assert told.month_nanos == alone.cost_nanos // 2
    waited = _use(alone=_part(100, 10**5, 10**4))
    assert not _found(_facts(waited), OpportunityKind.BATCH)


def test_a_dedicated_model_is_told_with_its_break_even() -> None:
    """Only from where it pays, and its month is not scaled twice."""
    use = Use("chat", "strong", "p", _part(100_000, 4 * 10**8, 10**6))
    facts = _facts(use, span_us=MONTH_US // 2)
    (told,) = _found(facts, OpportunityKind.DEDICATED)
    assert told.high_nanos == 2 * use.all.cost_nanos - 1_500 * USD
    even = -(-1_500 * USD * 200_000 // (2 * use.all.cost_nanos))
    assert f"{even:,} calls" in told.method
    small = _facts(Use("chat", "strong", "p", _part(1_000, 10**6, 10**4)))
    assert not _found(small, OpportunityKind.DEDICATED)


def test_one_user_far_above_the_others_is_told() -> None:
    """With what is beyond ten times the middle one."""
    users = Users(100, USD, 200 * USD, [("eve", 50 * USD, 9), ("ann", 2 * USD, 5)])
    (told,) = _found(_facts(_use(), users=users), OpportunityKind.USERS)
    assert told.subject == "user eve"
    assert told.high_nanos == 40 * USD
    assert not _found(_facts(_use(), users=replace(users, count=3)), OpportunityKind.USERS)


def test_a_newer_generation_is_told_an_older_one_is_not() -> None:
    """Cheaper for the same tokens."""
    newer = replace(CHEAP, name="newer", generation=(5,), configured=False)
    facts = _facts(_use(), published={"strong": [newer]})
    (told,) = _found(facts, OpportunityKind.NEWER_MODEL)
    assert (told.low_nanos, "newer" in told.setting) == (0, True)
    older = replace(newer, generation=(3,))
    assert not _found(_facts(_use(), published={"strong": [older]}), OpportunityKind.NEWER_MODEL)


def test_what_is_not_worth_a_look_is_left_out() -> None:
    """Less than a thousandth of the spending."""
    repeats = Repeats("chat", 2, 1, 2, 3)
    assert not _found(_facts(_use(), repeats=[repeats]), OpportunityKind.REPEATS)


def test_the_facts_that_rows_lack_are_named() -> None:
    """All four, and none when nothing was booked."""
    assert len(lacking(_facts(_use()))) == 4
    assert lacking(_facts()) == []


PART = st.builds(_part, st.integers(0, 10**6), st.integers(0, 10**9), st.integers(0, 10**9))
USES = st.lists(
    st.builds(
        Use,
        st.sampled_from(["chat", ""]),
        st.sampled_from(["strong", "cheap", "gone"]),
        st.just("p"),
        all=PART,
        short=PART,
        alone=PART,
        unstreamed=PART,
        failed=PART,
        again=PART,
        segmented_calls=st.integers(0, 10**6),
        system_tokens=st.integers(0, 10**9),
        new_tokens=st.integers(0, 10**9),
        limited_calls=st.integers(0, 10**6),
        limit_tokens=st.integers(0, 10**9),
        limited_output_tokens=st.integers(0, 10**9),
    ),
    max_size=4,
)


@given(USES, st.integers(0, 2 * MONTH_US), st.integers(1, 10**13))
def test_an_interval_is_in_order_and_never_below_nothing(
    uses: list[Use], span_us: int, dedicated: int
) -> None:
    """Whatever the sums; each names a setting and how it was reckoned."""
    for each in opportunities(_facts(*uses, span_us=span_us), dedicated):
        assert 0 <= each.low_nanos <= each.month_nanos <= each.high_nanos
        assert each.setting
        assert each.method
        assert each.evidence


@given(
    st.dictionaries(st.sampled_from("abc"), st.builds(Spent, st.integers(0, 99), st.integers(0))),
    st.dictionaries(st.sampled_from("abc"), st.builds(Spent, st.integers(0, 99), st.integers(0))),
)
def test_volume_and_rate_add_up_to_the_change(
    now: dict[str, Spent], before: dict[str, Spent]
) -> None:
    """To the nano, for new and gone features too."""
    found = changes(now, before)
    assert {each.feature for each in found} == now.keys() | before.keys()
    for each in found:
        apart = each.now.cost_nanos - each.before.cost_nanos
        assert each.volume_nanos + each.rate_nanos == apart


@pytest.mark.parametrize(
    ("left", "requests", "realised"),
    [(0, (100, 100), 40), (30, (100, 100), 10), (90, (50, 100), 0)],
)
def test_what_was_realised_is_told_at_this_months_volume(
    left: int, requests: tuple[int, int], realised: int
) -> None:
    """An opportunity that shrank because the feature did is no saving."""
    kind = OpportunityKind.REPEATS
    before = Opportunity(kind, "feature chat", "chat", 40, 0, 50, "", "", "")
    now = [replace(before, month_nanos=left)] if left else []
    (told,) = outcomes([before], now, {"chat": requests})
    assert told.realised_nanos == realised
