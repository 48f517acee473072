"""What the metrics are told of a request: money, tokens, time. Never a user, a key or a text.

Labels are names that an operator has given (tenants, features, models, providers), so their number
is his; the SDK's own limit on streams catches a caller who makes features up.
"""

from opentelemetry import metrics
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from chassis import names
from chassis.telemetry import context_of
from gateway.saga.ask import Ask
from gateway.saga.summary import Outcome, input_tokens

_meter = metrics.get_meter("spendgate")
_requests = _meter.create_counter(
    names.METRIC_REQUESTS, unit="{request}", description="Requests answered, by source."
)
_failures = _meter.create_counter(
    names.METRIC_FAILURES, unit="{request}", description="Requests not answered, by reason."
)
_under_way = _meter.create_up_down_counter(
    names.METRIC_IN_FLIGHT, unit="{request}", description="Requests under way."
)
_cost = _meter.create_counter(
    names.METRIC_COST, unit="{nano_usd}", description="Charged, in nano-USD."
)
_saved = _meter.create_counter(
    names.METRIC_SAVED, unit="{nano_usd}", description="Saved, in nano-USD, by cause."
)
_tokens = _meter.create_counter(
    names.METRIC_TOKENS, unit="{token}", description="Tokens that answers took, by bucket."
)
_cut = _meter.create_counter(
    names.METRIC_STREAMS_CUT, unit="{stream}", description="Streams cut: the hold was used up."
)
_duration = _meter.create_histogram(
    names.METRIC_DURATION,
    unit="s",
    description="From a request's arrival to the end of its answer.",
    explicit_bucket_boundaries_advisory=names.DURATION_BOUNDARIES_SECONDS,
)
_first_token = _meter.create_histogram(
    names.METRIC_FIRST_TOKEN,
    unit="s",
    description="From a streamed request's arrival to the answer's first piece.",
    explicit_bucket_boundaries_advisory=names.DURATION_BOUNDARIES_SECONDS,
)
_budget_left = _meter.create_gauge(
    names.METRIC_BUDGET_LEFT, unit="{nano_usd}", description="Left of a budget when last charged."
)
_budget_used = _meter.create_gauge(
    names.METRIC_BUDGET_USED, unit="1", description="Share of a budget used when last charged."
)


def came_in() -> None:
    """A request is under way."""
    _under_way.add(1)


def went_out() -> None:
    """It no longer is."""
    _under_way.add(-1)


def failed(ask: Ask, kind: str) -> None:
    """It was not answered; `kind` is a status's or an exception's name."""
    _failures.add(1, {names.ERROR_TYPE: kind, names.TENANT: ask.attribution.tenant})


def cut(ask: Ask) -> None:
    """A stream was cut because the money held for it was used up."""
    _cut.add(1, {names.TENANT: ask.attribution.tenant})


def answered(ask: Ask, outcome: Outcome) -> None:
    """It was answered and booked, or its booking waits."""
    source = pb.AnswerSource.Name(outcome.source).removeprefix("ANSWER_SOURCE_").lower()
    who = {names.TENANT: ask.attribution.tenant, names.FEATURE: ask.attribution.feature}
    what = {names.GEN_AI_RESPONSE_MODEL: outcome.model, names.GEN_AI_PROVIDER: outcome.provider}
    _requests.add(1, {**who, **what, names.ANSWER_SOURCE: source})
    cost, example = outcome.cost, context_of(ask.span)
    _cost.add(cost.cost_nanos, {**who, **what}, context=example)
    for saving in cost.savings:
        cause = entry_pb2.SavingCause.Name(saving.cause).removeprefix("SAVING_CAUSE_").lower()
        # A cause can cost more than it saves; a counter cannot fall.
        if saving.saved_nanos > 0:
            _saved.add(saving.saved_nanos, {**who, names.SAVING_CAUSE: cause})
    if source == "provider":
        _count_tokens(outcome, what)
    timing: dict[str, str | bool] = {
        names.ANSWER_SOURCE: source,
        names.GEN_AI_REQUEST_STREAM: ask.streams,
    }
    _duration.record(ask.latency_ms() / 1000, timing, context=example)
    if ask.first_token_ms:
        _first_token.record(ask.first_token_ms / 1000, what, context=example)
    if cost.tightest is not None and cost.tightest.limit_nanos > 0:
        budget = {names.TENANT: ask.attribution.tenant, names.BUDGET_ID: cost.tightest.budget_id}
        _budget_left.set(cost.tightest.left_nanos, budget)
        used_nanos = cost.tightest.limit_nanos - cost.tightest.left_nanos
        thousandths = used_nanos * 1000 // cost.tightest.limit_nanos
        _budget_used.set(thousandths / 1000, budget)


def _count_tokens(outcome: Outcome, what: dict[str, str]) -> None:
    usage = outcome.usage
    buckets = {
        "input": input_tokens(usage),
        "cached": usage.cached_input_tokens,
        "output": usage.output_tokens + usage.reasoning_tokens,
        "reasoning": usage.reasoning_tokens,
    }
    for bucket, tokens in buckets.items():
        _tokens.add(tokens, {**what, names.GEN_AI_TOKEN_TYPE: bucket})
