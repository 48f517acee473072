"""What the caller and the trace are told of a request's cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from opentelemetry.trace import Span
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from catalog.price import cost_nanos
from catalog.prices import PriceBook, UnknownModel, Unpriced
from catalog.usage import BUCKETS, Usage
from chassis import names
from gateway.saga.ask import Ask
from gateway.saga.feedback import feedback_token
from gateway.saga.shaping import told

NANOS_PER_USD = 10**9


@dataclass(slots=True)
class Cost:
    """Money of one request, in nano-USD."""

    cost_nanos: int = 0
    counterfactual_nanos: int = 0
    savings: Sequence[entry_pb2.Saving] = ()
    price_version: str = ""
    # The ledger has not confirmed it yet: the gateway's own arithmetic on the same catalogue.
    pending: bool = False
    tightest: hold_pb2.BudgetLeft | None = None
    # Budgets that the request breaks and that let it go on.
    notices: Sequence[budget_pb2.BudgetNotice] = ()
    # What each attempt cost, by entry id. They add up to cost_nanos.
    by_entry: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """How a request was answered."""

    source: pb.AnswerSource
    model: str
    provider: str
    usage: chat_pb2.TokenUsage
    usage_source: entry_pb2.UsageSource
    cost: Cost
    explanation: str = ""
    finish_reasons: Sequence[str] = field(default_factory=list)
    # What of the caller's options the provider lacked, and the like.
    warnings: Sequence[str] = ()
    # What the cost is made of (anatomy.py).
    parts: Mapping[str, int] = field(default_factory=dict)


def settled(settlement: ledger_pb.Settlement) -> Cost:
    """The cost as the ledger booked it, over all attempts."""
    saved: dict[entry_pb2.SavingCause, int] = {}
    for entry in settlement.entries:
        for saving in entry.savings:
            saved[saving.cause] = saved.get(saving.cause, 0) + saving.saved_nanos
    tightest = settlement.hold.tightest if settlement.hold.HasField("tightest") else None
    return Cost(
        cost_nanos=settlement.charged_nanos,
        counterfactual_nanos=sum(e.counterfactual_nanos for e in settlement.entries),
        savings=[entry_pb2.Saving(cause=c, saved_nanos=n) for c, n in saved.items()],
        price_version=next((e.price_version for e in settlement.entries if e.price_version), ""),
        tightest=tightest,
        by_entry={entry.entry_id: entry.cost_nanos for entry in settlement.entries},
    )


def recorded(entry: entry_pb2.Entry) -> Cost:
    """The cost of a row without a hold, as the ledger booked it."""
    return Cost(
        cost_nanos=entry.cost_nanos,
        counterfactual_nanos=entry.counterfactual_nanos,
        savings=list(entry.savings),
        price_version=entry.price_version,
    )


def calculated(book: PriceBook, attempts: Sequence[entry_pb2.Attempt], at: datetime) -> Cost:
    """The cost by the gateway's own arithmetic, for while the ledger is away.

    What cannot be priced is left out here; the ledger will refuse or price it when it is back.
    """
    cost = Cost(pending=True)
    saved: dict[entry_pb2.SavingCause, int] = {}
    for attempt in attempts:
        reached = _priced(book, attempt.model_used, attempt.usage, at)
        cost.cost_nanos += reached
        cost.by_entry[attempt.entry_id] = reached
        for step in attempt.counterfactuals:
            before, reached = reached, _priced(book, step.model, step.usage, at)
            saved[step.cause] = saved.get(step.cause, 0) + reached - before
        cost.counterfactual_nanos += reached
    cost.savings = [entry_pb2.Saving(cause=c, saved_nanos=n) for c, n in saved.items()]
    return cost


def summary_of(ask: Ask, outcome: Outcome) -> pb.Summary:
    """What the caller is told."""
    similarity, refused_by = likeness(ask.finding)
    return pb.Summary(
        request_id=ask.request_id,
        trace_id=ask.trace_id,
        model=outcome.model,
        provider=outcome.provider,
        source=outcome.source,
        route_explanation=outcome.explanation,
        usage=outcome.usage,
        usage_source=outcome.usage_source,
        cost_nanos=outcome.cost.cost_nanos,
        savings=outcome.cost.savings,
        counterfactual_nanos=outcome.cost.counterfactual_nanos,
        tightest=outcome.cost.tightest,
        booking_pending=outcome.cost.pending,
        latency_ms=ask.latency_ms(),
        similarity=similarity,
        cache_refused_by=refused_by,
        feedback_token=feedback_token(ask),
        notices=outcome.cost.notices,
        shaping=told(ask),
        warnings=outcome.warnings,
    )


def note_finding(ask: Ask) -> None:
    """What the cache said, on the trace's root."""
    outcome = cache_pb.Outcome.Name(ask.finding.outcome).removeprefix("OUTCOME_")
    ask.span.set_attribute(names.CACHE_OUTCOME, outcome)
    similarity, refused_by = likeness(ask.finding)
    if similarity is not None:
        ask.span.set_attribute(names.CACHE_SIMILARITY, similarity)
        for name, least in names.SIMILARITY_UNDER:
            if similarity < least:
                ask.span.set_attribute(name, True)
    if refused_by:
        ask.span.set_attribute(names.CACHE_REFUSED_BY, refused_by)


def likeness(finding: cache_pb.Finding) -> tuple[float | None, str]:
    """The similarity of what was served, or of the nearest that was refused, and by what."""
    if finding.HasField("similarity"):
        return finding.similarity, ""
    for seen in finding.explanation.candidates[:1]:
        return seen.similarity, seen.refused_by
    return None, ""


def note_on_span(ask: Ask, outcome: Outcome) -> None:
    """What the trace's root is told."""
    span = ask.span
    if not span.is_recording():
        return
    usage, cost = outcome.usage, outcome.cost
    span.set_attributes(
        {
            names.GEN_AI_RESPONSE_MODEL: outcome.model,
            names.GEN_AI_PROVIDER: outcome.provider or "spendgate",
            names.GEN_AI_FINISH_REASONS: list(outcome.finish_reasons),
            names.ANSWER_SOURCE: pb.AnswerSource.Name(outcome.source).removeprefix(
                "ANSWER_SOURCE_"
            ),
            names.GEN_AI_INPUT_TOKENS: input_tokens(usage),
            names.GEN_AI_OUTPUT_TOKENS: usage.output_tokens + usage.reasoning_tokens,
            names.GEN_AI_CACHED_TOKENS: usage.cached_input_tokens,
            names.GEN_AI_CACHE_WRITE_TOKENS: usage.cache_write_tokens + usage.cache_write_1h_tokens,
            names.GEN_AI_REASONING_TOKENS: usage.reasoning_tokens,
            names.TOKENS_SYSTEM: ask.prepared.segments.system_tokens,
            names.TOKENS_TOOLS: ask.prepared.segments.tools_tokens,
            names.TOKENS_HISTORY: ask.prepared.segments.history_tokens,
            names.TOKENS_NEW: ask.prepared.segments.new_tokens,
        }
    )
    note_money(span, cost)
    for part, nanos in outcome.parts.items():
        span.set_attribute(f"{names.COST_NANO_USD}.{part}", nanos)
    if ask.first_token_ms:
        span.set_attribute(names.GEN_AI_FIRST_CHUNK, ask.first_token_ms / 1000)


def note_money(span: Span, cost: Cost) -> None:
    """What a request's span says of money: as booked, whether it was answered or not."""
    if not span.is_recording():
        return
    span.set_attributes(
        {
            names.COST_NANO_USD: cost.cost_nanos,
            names.COST_USD: cost.cost_nanos / NANOS_PER_USD,
            names.GEN_AI_COST: cost.cost_nanos / NANOS_PER_USD,
            names.SAVED_NANO_USD: sum(saving.saved_nanos for saving in cost.savings),
            names.COUNTERFACTUAL_NANO_USD: cost.counterfactual_nanos,
            names.ATTEMPT_COUNT: len(cost.by_entry),
        }
    )
    for saving in cost.savings:
        cause = entry_pb2.SavingCause.Name(saving.cause).removeprefix("SAVING_CAUSE_").lower()
        span.set_attribute(f"{names.SAVED_NANO_USD}.{cause}", saving.saved_nanos)
    for name, nanos in names.COST_OVER_NANO_USD:
        if cost.cost_nanos > nanos:
            span.set_attribute(name, True)
    if cost.price_version:
        span.set_attribute(names.PRICE_VERSION, cost.price_version)
    if cost.tightest is not None and cost.tightest.unit == budget_pb2.BUDGET_UNIT_NANO_USD:
        span.set_attribute(names.BUDGET_ID, cost.tightest.budget_id)
        span.set_attribute(names.BUDGET_LEFT_NANO_USD, cost.tightest.left_nanos)


def input_tokens(usage: chat_pb2.TokenUsage) -> int:
    """All tokens read, as the GenAI conventions count them: cached and written ones included."""
    return (
        usage.input_tokens
        + usage.cached_input_tokens
        + usage.cache_write_tokens
        + usage.cache_write_1h_tokens
        + usage.audio_input_tokens
        + usage.image_input_tokens
    )


def _priced(book: PriceBook, model: str, usage: chat_pb2.TokenUsage, at: datetime) -> int:
    try:
        price = book.price(model, at)
    except (UnknownModel, Unpriced):
        return 0
    return cost_nanos(price, Usage(**{bucket: getattr(usage, bucket) for bucket in BUCKETS}))
