"""What could be saved by calling another model."""

from collections.abc import Iterator

from catalog.money import usd_text
from services.ledger.insight.facts import SHORT_TOKENS, Facts, Model, Use, month, priced
from services.ledger.insight.opportunity import (
    Opportunity,
    OpportunityKind,
    Saving,
    named,
    opportunity,
)

SHORT_CALLS_MIN = 20
CHEAPER_PERCENT_MIN = 30
DEDICATED_CALLS_MIN = 10_000
NARROW_OUTPUT_TOKENS = 150


def strong_models(facts: Facts) -> Iterator[Opportunity]:
    """Short answers by a model when a much cheaper one is configured."""
    for use in facts.uses:
        asked = facts.models.get(use.model)
        if asked is None or use.short.calls < SHORT_CALLS_MIN:
            continue
        other = _cheapest(use, asked, list(facts.models.values()))
        if other is None:
            continue
        short = use.short.cost_nanos - priced(use.short.tokens, other.rates)
        whole = use.all.cost_nanos - priced(use.all.tokens, other.rates)
        if short * 100 < use.short.cost_nanos * CHEAPER_PERCENT_MIN:
            continue
        yield opportunity(
            facts,
            OpportunityKind.STRONG_MODEL,
            use.feature,
            Saving(short, short // 2, whole),
            subject=f"{named(use.feature)}, model {use.model}",
            evidence=f"{use.short.calls:,} of {use.all.calls:,} calls were answered with at most"
            f" {SHORT_TOKENS} tokens, for {usd_text(use.short.cost_nanos)} USD",
            setting=f'model "auto" with routing policy target, or model {other.name}, for this'
            " feature (docs/router.md)",
            method=f"the short answers by {other.name} at its price: half of them (low), all of"
            " them, all calls (high); quality is not judged here, report outcomes to learn it",
            request_ids=facts.sample.get((use.feature, use.model), ()),
        )


def newer_models(facts: Facts) -> Iterator[Opportunity]:
    """A published model of the same provider, not older, cheaper, with the same capabilities."""
    for use in facts.uses:
        asked = facts.models.get(use.model)
        if asked is None:
            continue
        others = [
            other
            for other in facts.published.get(use.model, ())
            if other.generation >= asked.generation and other.name not in facts.models
        ]
        other = _cheapest(use, asked, others)
        if other is None:
            continue
        high = use.all.cost_nanos - priced(use.all.tokens, other.rates)
        if high * 100 < use.all.cost_nanos * 5:
            continue
        yield opportunity(
            facts,
            OpportunityKind.NEWER_MODEL,
            use.feature,
            Saving(high // 2, 0, high),
            subject=f"{named(use.feature)}, model {use.model}",
            evidence=f"{other.name} of the same provider is listed cheaper, with every capability"
            f" known of {use.model}; its calls cost {usd_text(use.all.cost_nanos)} USD",
            setting=f"add {other.name} to models in the fleet file and compare outcomes before it"
            " takes over",
            method="all calls at its list price (high), half of them; 0 when its answers are not"
            " good enough (low)",
            request_ids=facts.sample.get((use.feature, use.model), ()),
        )


def dedicated(facts: Facts, month_nanos: int) -> Iterator[Opportunity]:
    """Narrow tasks of high volume, worth a fine-tuned or dedicated model."""
    for use in facts.uses:
        calls = month(use.all.calls, facts.span_us)
        cost = month(use.all.cost_nanos, facts.span_us)
        written = use.all.tokens.output_tokens + use.all.tokens.reasoning_tokens
        narrow = written <= NARROW_OUTPUT_TOKENS * use.all.calls
        if calls < DEDICATED_CALLS_MIN or not narrow or cost <= month_nanos:
            continue
        even = -(-month_nanos * calls // cost)
        # Amounts are a month's already: they must not be scaled again.
        gain = cost - month_nanos
        yield Opportunity(
            OpportunityKind.DEDICATED,
            f"{named(use.feature)}, model {use.model}",
            use.feature,
            gain // 2,
            0,
            gain,
            f"{calls:,} narrow calls a month (mean answer {written // use.all.calls:,} tokens) for"
            f" {usd_text(cost)} USD",
            f"a fine-tuned small model or a deployment of your own at {usd_text(month_nanos)} USD"
            " a month, behind a provider of the fleet file",
            f"breaks even at {even:,} calls a month; high: all calls move, low: quality does not"
            " suffice",
            tuple(facts.sample.get((use.feature, use.model), ())[:5]),
        )


def _cheapest(use: Use, asked: Model, others: list[Model]) -> Model | None:
    """The one that would have cost least for these calls, of those that can do the same."""
    cost = priced(use.all.tokens, asked.rates)
    best = None
    for other in sorted(others, key=lambda model: model.name):
        if other.name == asked.name or not _can_stand_in(asked, other):
            continue
        theirs = priced(use.all.tokens, other.rates)
        if 0 < theirs < cost:
            best, cost = other, theirs
    return best


def _can_stand_in(asked: Model, other: Model) -> bool:
    """Whether every capability known of one is known of the other, and its window suffices."""
    if asked.capabilities and not asked.capabilities <= (other.capabilities or frozenset()):
        return False
    return (
        asked.window_tokens is None
        or other.window_tokens is None
        or other.window_tokens >= asked.window_tokens
    )
