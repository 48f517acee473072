"""What could be saved by not paying for the same tokens again."""

from collections.abc import Iterator

from catalog.money import usd_text
from catalog.price import PICOS_PER_NANO
from services.ledger.insight.facts import CACHEABLE_TOKENS, GROWN_TIMES, Facts
from services.ledger.insight.opportunity import (
    Opportunity,
    OpportunityKind,
    Saving,
    named,
    opportunity,
)

# A system prompt that is longer than this and than a third of what is asked is worth a look.
CHATTY_TOKENS = 200
COMPRESSED_LOW_PERCENT, COMPRESSED_PERCENT, COMPRESSED_HIGH_PERCENT = 10, 25, 40
CACHED_SHARE_PERCENT = 50
HIT_LOW_PERCENT, HIT_PERCENT = 50, 90


def repeats(facts: Facts) -> Iterator[Opportunity]:
    """Equal prompts that were paid for more than once."""
    for each in facts.repeats:
        yield opportunity(
            facts,
            OpportunityKind.REPEATS,
            each.feature,
            Saving(each.day_nanos, each.hour_nanos, each.period_nanos),
            subject=named(each.feature),
            evidence=f"{each.calls:,} calls repeated a prompt that was answered before, for"
            f" {usd_text(each.period_nanos)} USD",
            setting="cache: {enabled: true} in the fleet file; temperature 0 or a longer TTL class"
            " where answers may be reused",
            method="what all but the first of equal prompts cost: within an hour (low), a day,"
            " the whole period (high)",
            request_ids=each.request_ids,
        )


def near_repeats(facts: Facts) -> Iterator[Opportunity]:
    """Prompts near to one answered before."""
    for each in facts.near:
        cost = each.cost_nanos
        yield opportunity(
            facts,
            OpportunityKind.NEAR_REPEATS,
            each.feature,
            Saving(cost * 3 // 4, cost // 2, cost),
            subject=named(each.feature),
            evidence=f"{each.calls:,} calls asked nearly what was answered before, for"
            f" {usd_text(cost)} USD",
            setting="the semantic cache for this feature, its threshold set from reported wrong"
            " hits",
            method="half to all of what those calls cost: some near prompts need an answer of"
            " their own",
            request_ids=each.request_ids,
        )


def prompt_cache(facts: Facts) -> Iterator[Opportunity]:
    """Long static prompts that the provider reads at full price."""
    for each in facts.static:
        model = facts.models.get(each.model)
        if model is None or each.calls < 2:
            continue
        rates = model.rates
        repeated = each.system_tokens * (each.calls - 1) // each.calls
        uncached = repeated - each.cached_tokens
        gain = rates.input_picos - rates.cached_input_picos
        if uncached * 100 < repeated * CACHED_SHARE_PERCENT or gain <= 0:
            continue
        # What is kept must be written once, at the price of a write.
        write = each.system_tokens // each.calls * max(0, rates.cache_write_picos)
        high = max(0, uncached * gain - write) // PICOS_PER_NANO
        yield opportunity(
            facts,
            OpportunityKind.PROMPT_CACHE,
            each.feature,
            Saving(high * HIT_PERCENT // 100, high * HIT_LOW_PERCENT // 100, high),
            subject=f"{named(each.feature)}, model {each.model}",
            evidence=f"a system prompt of {each.system_tokens // each.calls:,} tokens was read"
            f" {each.calls:,} times, {each.cached_tokens:,} tokens of it from the provider's cache",
            setting="keep the system prompt first and unchanged, mark it for the provider's cache"
            f" (from {CACHEABLE_TOKENS} tokens on), keep calls on one model",
            method="the static tokens at the price of cached ones, one write each; half (low) to"
            " all of the reads hit",
            request_ids=each.request_ids,
        )


def growing_context(facts: Facts) -> Iterator[Opportunity]:
    """Conversations that read more with every turn."""
    for each in facts.grown:
        model = facts.models.get(each.model)
        if model is None:
            continue
        high = each.excess_tokens * model.rates.input_picos // PICOS_PER_NANO
        low = each.excess_tokens * model.rates.cached_input_picos // PICOS_PER_NANO
        yield opportunity(
            facts,
            OpportunityKind.GROWING_CONTEXT,
            each.feature,
            Saving((low + high) // 2, low, high),
            subject=f"{named(each.feature)}, model {each.model}",
            evidence=f"{each.sessions:,} conversations of 4 turns and more read"
            f" {each.excess_tokens:,} tokens beyond {GROWN_TIMES} times their first turn",
            setting="the tokenizer's FitContext with a token limit for this feature"
            " (docs/tokens.md)",
            method="the tokens beyond that, at the price of cached (low) or fresh ones (high)",
            request_ids=each.request_ids,
        )


def system_prompts(facts: Facts) -> Iterator[Opportunity]:
    """System prompts that are long beside what is asked."""
    for use in facts.uses:
        model = facts.models.get(use.model)
        if model is None or not use.segmented_calls:
            continue
        mean = use.system_tokens // use.segmented_calls
        if mean < CHATTY_TOKENS or use.system_tokens < use.new_tokens // 3:
            continue
        whole = use.system_tokens * model.rates.input_picos // PICOS_PER_NANO
        yield opportunity(
            facts,
            OpportunityKind.SYSTEM_PROMPT,
            use.feature,
            Saving(
                whole * COMPRESSED_PERCENT // 100,
                whole * COMPRESSED_LOW_PERCENT // 100,
                whole * COMPRESSED_HIGH_PERCENT // 100,
            ),
            subject=f"{named(use.feature)}, model {use.model}",
            evidence=f"each call carries a system prompt of {mean:,} tokens, for"
            f" {usd_text(whole)} USD in all; what is new are"
            f" {use.new_tokens // use.segmented_calls:,}",
            setting="a shorter system prompt; see what can go with the tokenizer's Compress"
            " (docs/tokens.md)",
            method="10 to 40 % of its tokens at the price of fresh input; none of it when the"
            " provider serves them from its cache",
            request_ids=facts.sample.get((use.feature, use.model), ()),
        )
