"""What could be saved on how calls are made: tries, limits, batches, users."""

from collections.abc import Iterator

from catalog.money import usd_text
from catalog.price import PICOS_PER_NANO
from services.ledger.insight.facts import Facts
from services.ledger.insight.opportunity import (
    Opportunity,
    OpportunityKind,
    Saving,
    named,
    opportunity,
)

LIMIT_TIMES = 4
LIMITED_CALLS_MIN = 20
BATCH_SHARE_PERCENT = 90
BATCH_CALLS_MIN = 100
USERS_MIN = 5
DEAR_TIMES = 10
DEAR_SHARE_PERCENT = 5


def retries(facts: Facts) -> Iterator[Opportunity]:
    """Tries that failed and were billed, and those made again."""
    for use in facts.uses:
        failed, again = use.failed.cost_nanos, use.again.cost_nanos
        if not failed and not again:
            continue
        yield opportunity(
            facts,
            OpportunityKind.RETRIES,
            use.feature,
            Saving(failed, failed // 2, failed + again),
            subject=f"{named(use.feature)}, model {use.model}",
            evidence=f"{use.failed.calls:,} failed calls were billed {usd_text(failed)} USD,"
            f" {use.again.calls:,} later tries {usd_text(again)} USD",
            setting="retry: {attempts_max: ...} and longer timeouts in the fleet file; a fallback"
            " that fails less",
            method="half of the billed failures (low), all of them, all later tries too (high)",
            request_ids=facts.sample.get((use.feature, use.model), ()),
        )


def output_limits(facts: Facts) -> Iterator[Opportunity]:
    """Limits far above what is written: budgets hold what is never used."""
    for use in facts.uses:
        model = facts.models.get(use.model)
        if model is None or use.limited_calls < LIMITED_CALLS_MIN:
            continue
        if use.limit_tokens < LIMIT_TIMES * max(1, use.limited_output_tokens):
            continue
        unused = use.limit_tokens - use.limited_output_tokens
        held = unused * model.rates.output_picos // PICOS_PER_NANO
        yield opportunity(
            facts,
            OpportunityKind.OUTPUT_LIMIT,
            use.feature,
            # Held money comes back: nothing is saved for certain, runaway answers are cut.
            Saving(0, 0, use.all.cost_nanos // 100),
            subject=f"{named(use.feature)}, model {use.model}",
            evidence=f"answers may have {use.limit_tokens // use.limited_calls:,} tokens and have"
            f" {use.limited_output_tokens // use.limited_calls:,}; {usd_text(held)} USD of budgets"
            " were held for nothing",
            setting=f"max_tokens near {2 * use.limited_output_tokens // use.limited_calls + 1:,},"
            " or output_tokens_default of the model",
            method="holds shrink by what is unused, which lets more requests through a budget; at"
            " most 1 % of the cost by cutting runaway answers",
            request_ids=facts.sample.get((use.feature, use.model), ()),
        )


def batches(facts: Facts) -> Iterator[Opportunity]:
    """Calls nobody waits for."""
    for use in facts.uses:
        model = facts.models.get(use.model)
        if model is None or model.batch_percent is None or use.all.calls < BATCH_CALLS_MIN:
            continue
        if use.alone.calls * 100 < use.all.calls * BATCH_SHARE_PERCENT:
            continue
        off = 100 - model.batch_percent
        yield opportunity(
            facts,
            OpportunityKind.BATCH,
            use.feature,
            Saving(
                use.alone.cost_nanos * off // 100,
                use.alone.cost_nanos * off // 200,
                use.unstreamed.cost_nanos * off // 100,
            ),
            subject=f"{named(use.feature)}, model {use.model}",
            evidence=f"{use.alone.calls:,} of {use.all.calls:,} calls were not streamed and name"
            " neither user nor session",
            setting=f"the provider's batch tier for this feature, at {model.batch_percent} % of the"
            " price",
            method="half (low) to all of those calls at the batch price; all that were not"
            " streamed (high)",
            request_ids=facts.sample.get((use.feature, use.model), ()),
        )


def users(facts: Facts) -> Iterator[Opportunity]:
    """Users who cost far more than the others."""
    found = facts.users
    if found.count < USERS_MIN or not found.median_nanos:
        return
    cap = found.median_nanos * DEAR_TIMES
    for user, cost, requests in found.dearest:
        if cost <= cap or cost * 100 < found.total_nanos * DEAR_SHARE_PERCENT:
            continue
        over = cost - cap
        yield opportunity(
            facts,
            OpportunityKind.USERS,
            "",
            Saving(over // 2, 0, over),
            subject=f"user {user}",
            evidence=f"{usd_text(cost)} USD in {requests:,} requests; the middle one of"
            f" {found.count:,} users costs {usd_text(found.median_nanos)} USD",
            setting=f"a budget of the user: spendgate budget create --user {user}, or a price of"
            " its own",
            method=f"what is beyond {DEAR_TIMES} times the middle user: none of it (low) to all"
            " (high)",
        )
