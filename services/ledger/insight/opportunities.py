"""All that could be saved, most first; and what could not be looked for."""

from services.ledger.insight import calls, models, prompts
from services.ledger.insight.facts import Facts
from services.ledger.insight.opportunity import Opportunity, OpportunityKind

# What could save less than a thousandth of the spending is not worth anybody's time.
WORTH_PERMILLE = 1
OPPORTUNITIES_MAX = 50
# These save no dollars for certain but are worth knowing.
ALWAYS_WORTH = frozenset({OpportunityKind.OUTPUT_LIMIT})


def opportunities(facts: Facts, dedicated_month_nanos: int) -> list[Opportunity]:
    """The opportunities in a period's sums."""
    found = [
        *prompts.repeats(facts),
        *prompts.near_repeats(facts),
        *prompts.prompt_cache(facts),
        *prompts.growing_context(facts),
        *prompts.system_prompts(facts),
        *calls.retries(facts),
        *calls.output_limits(facts),
        *calls.batches(facts),
        *calls.users(facts),
        *models.strong_models(facts),
        *models.newer_models(facts),
        *models.dedicated(facts, dedicated_month_nanos),
    ]
    worth = [
        each
        for each in found
        if each.kind in ALWAYS_WORTH or each.high_nanos * 1000 > facts.cost_nanos * WORTH_PERMILLE
    ]
    worth.sort(key=lambda each: (-each.month_nanos, -each.high_nanos, each.kind, each.subject))
    return worth[:OPPORTUNITIES_MAX]


def lacking(facts: Facts) -> list[str]:
    """What could not be looked for, because the rows say nothing of it."""
    said: list[str] = []
    calls_all = sum(use.all.calls for use in facts.uses)
    if not calls_all:
        return said
    if not facts.hashed_calls:
        said.append("repeated prompts and static system prompts: rows carry no keyed prompt hash")
    if not facts.near_calls:
        said.append("near repeats: no row names a near prompt (the semantic cache tells them)")
    if not any(use.segmented_calls for use in facts.uses):
        said.append("system prompts: rows carry no tokens by segment")
    if not any(use.limited_calls for use in facts.uses):
        said.append("output limits: no row carries the limit that was asked for")
    return said
