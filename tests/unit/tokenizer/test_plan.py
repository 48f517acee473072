import pytest

from catalog.price import Rates
from services.tokenizer.context.convert import in_words
from services.tokenizer.context.plan import CannotFit, Policy, Shape, Talk, Why, plan

# Pico-USD a token: a cached read is a tenth, a write costs what input costs.
GPT = Shape(Rates(2_500_000, 250_000, 2_500_000, 0, 0, 0, 0))
FLAT = Shape(Rates(2_500_000, 2_500_000, 2_500_000, 0, 0, 0, 0))


def talk(exchanges, **fields):
    return Talk(1000, [1000] * exchanges, **fields)


def test_the_formula_of_the_break_even():
    """C = 11,000, S = 1,000, cut to 4,000: D = 7,000, 2,000 old tokens are written again.

    2,000 x 2.25 = 4,500 micro-USD against 7,000 x 0.25 = 1,750 a turn: 2.57, so 3 turns.
    """
    found = plan(Policy.APPEND_ONLY, talk(10), GPT, 8000)
    assert (found.cut, found.why) == (0, Why.KEPT)
    figures = plan(Policy.AUTO, talk(10, expected_rest_turns=2), GPT, 8000)
    assert figures.why is Why.KEPT
    assert figures.removed_tokens == 7000
    assert figures.rewrite_picos == 2000 * 2_250_000
    assert figures.saved_picos_a_turn == 7000 * 250_000
    assert figures.break_even_turns == 3
    assert in_words(figures) == (
        "kept: cutting 7,000 tokens costs $0.004500 in cache re-writes and saves $0.001750 a "
        "turn; break-even 3 turns, expected rest 2"
    )


def test_auto_waits_until_re_reading_has_cost_what_a_cut_costs():
    """Over 4,000 tokens: 1,000, 2,000, ... are read again, 250 micro-USD per 1,000.

    4,500 micro-USD are reached with 1 + 2 + ... + 6 = 21 thousand tokens, not with 15: at a
    context of 10,000, which has nine exchanges.
    """
    found = [plan(Policy.AUTO, talk(n, expected_rest_turns=12), GPT, 8000) for n in range(2, 10)]
    assert [each.why for each in found] == [Why.KEPT] * 7 + [Why.BREAK_EVEN]
    assert found[-1].cut == 6
    # Four times 4,500 micro-USD must be expected back, at 1,500 a turn: in 12 turns, not in 11.
    assert plan(Policy.AUTO, talk(9, expected_rest_turns=11), GPT, 8000).why is Why.KEPT


def test_without_a_cache_every_cut_pays_at_once():
    """Reading again costs the full price, writing nothing more."""
    found = plan(Policy.AUTO, talk(4), FLAT, 8000)
    assert (found.cut, found.why, found.rewrite_picos) == (1, Why.BREAK_EVEN, 0)


def test_a_cut_leaves_enough_to_be_cached():
    """Twice the provider's minimum at least: below it every read would cost the full price."""
    low = Shape(GPT.rates, prefix_tokens_min=4000)
    assert all(plan(Policy.AUTO, talk(n), low, 8000).cut == 0 for n in range(2, 8))
    found = next(
        each for each in (plan(Policy.AUTO, talk(n), low, 8000) for n in range(8, 40)) if each.cut
    )
    assert found.why is Why.BREAK_EVEN
    assert plan(Policy.AUTO, talk(4), Shape(FLAT.rates, prefix_tokens_min=4000), 8000).cut == 1


def test_a_cold_cache_a_cliff_and_the_window_cut_at_once():
    """What is written again anyway, doubles in price or is refused is cut."""
    once = {"expected_rest_turns": 0}
    cold = Shape(GPT.rates, lifetime_seconds=300)
    assert plan(Policy.AUTO, talk(5, idle_seconds=300, **once), cold, 8000).why is Why.KEPT
    assert plan(Policy.AUTO, talk(5, idle_seconds=301, **once), cold, 8000).why is Why.COLD_CACHE
    cliff = Shape(GPT.rates, cliff_tokens_over=5999)
    assert plan(Policy.AUTO, talk(5, **once), cliff, 8000).why is Why.CLIFF
    assert plan(Policy.AUTO, talk(4, **once), cliff, 8000).why is Why.KEPT
    window = Shape(GPT.rates, window_tokens=5000)
    for policy in Policy:
        found = plan(policy, talk(5), window, 80_000)
        assert (found.cut, found.why) == (1, Why.WINDOW)


def test_fixed_policies_cut_above_the_budget_and_down_to_half():
    """Never every turn: 8,000 stay, 9,000 become 4,000."""
    for policy in (Policy.SLIDING_WINDOW, Policy.WINDOW_WITH_FACTS, Policy.SUMMARY):
        assert plan(policy, talk(7), GPT, 8000).cut == 0
        assert plan(policy, talk(8), GPT, 8000).cut == 5
        assert plan(policy, talk(9, cut=5), GPT, 8000).cut == 5


def test_the_last_two_exchanges_are_never_left_out():
    """Whatever the budget; what cannot fit the window is CannotFit, with numbers."""
    assert plan(Policy.SLIDING_WINDOW, talk(5), GPT, 100).cut == 3
    with pytest.raises(CannotFit) as refused:
        plan(Policy.AUTO, talk(5), Shape(GPT.rates, window_tokens=2999), 100)
    assert (refused.value.tokens, refused.value.window_tokens) == (3000, 2999)


def test_never_dearer_than_one_re_write_more_than_append_only():
    """However a conversation ends, rent paid before a cut is at least its price."""
    for ends in range(3, 80):
        cut = spent = rewrites = 0
        for n in range(1, ends):
            found = plan(Policy.AUTO, talk(n, cut=cut), GPT, 8000)
            if found.why is not Why.KEPT:
                spent += found.rewrite_picos
                rewrites = max(rewrites, found.rewrite_picos)
                cut = found.cut
            spent += (1000 + sum([1000] * n) - cut * 1000) * 250_000
        append = sum((1000 + n * 1000) * 250_000 for n in range(1, ends))
        assert spent <= append + rewrites
