"""What was tried, in the ledger's words: attempts, and the chain back to what would have been."""

from collections.abc import Sequence

from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from gateway.saga.ask import Ask
from gateway.saga.shaping import compression_step


def answered(
    ask: Ask,
    candidate: router_pb.Candidate,
    usage: chat_pb2.TokenUsage,
    source: entry_pb2.UsageSource,
    *,
    number: int,
    entry_id: str,
    kind: entry_pb2.EntryKind = entry_pb2.ENTRY_KIND_CALL,
    outcome: entry_pb2.AttemptOutcome = entry_pb2.ATTEMPT_OUTCOME_OK,
    extra: bool = False,
) -> entry_pb2.Attempt:
    """A provider call that used tokens."""
    return entry_pb2.Attempt(
        entry_id=entry_id,
        kind=kind,
        outcome=outcome,
        attempt_number=number,
        model_asked=ask.model,
        model_used=candidate.model,
        provider=candidate.provider,
        usage=usage,
        usage_source=source,
        counterfactuals=chain(ask, candidate.model, usage, extra=extra),
        latency_ms=ask.latency_ms(),
        first_token_ms=ask.first_token_ms,
        trace_id=ask.trace_id,
        facts=ask.facts,
    )


def failed(
    ask: Ask,
    candidate: router_pb.Candidate,
    *,
    number: int,
    entry_id: str,
    reason: str,
    kind: entry_pb2.EntryKind = entry_pb2.ENTRY_KIND_CALL,
    outcome: entry_pb2.AttemptOutcome = entry_pb2.ATTEMPT_OUTCOME_FAILED,
    may_be_billed: bool = False,
) -> entry_pb2.Attempt:
    """A provider call that brought nothing.

    `may_be_billed`: the provider had the prompt and may have done the work. Then the prompt is
    charged as counted, for nobody knows of more; what the provider really bills is for its own
    account of usage to correct.
    """
    usage = chat_pb2.TokenUsage()
    if may_be_billed:
        usage.input_tokens = ask.prepared.input.tokens
    return entry_pb2.Attempt(
        entry_id=entry_id,
        kind=kind,
        outcome=outcome,
        attempt_number=number,
        model_asked=ask.model,
        model_used=candidate.model,
        provider=candidate.provider,
        usage=usage,
        usage_source=(
            entry_pb2.USAGE_SOURCE_COUNTED if may_be_billed else entry_pb2.USAGE_SOURCE_NONE
        ),
        latency_ms=ask.latency_ms(),
        error_reason=reason,
        trace_id=ask.trace_id,
        facts=ask.facts,
    )


# The reason of a call beside which another was faster.
OVERTAKEN = "OVERTAKEN"


def overtaken(
    ask: Ask,
    candidate: router_pb.Candidate,
    *,
    number: int,
    entry_id: str,
    used: chat_pb2.TokenUsage | None,
    prompt_charged: bool,
) -> entry_pb2.Attempt:
    """The slower of two calls at once. `used`: what it reported, if it came in all the same; else
    it was cancelled, and its prompt is charged as counted if that is the policy."""
    attempt = failed(
        ask,
        candidate,
        number=number,
        entry_id=entry_id,
        reason=OVERTAKEN,
        kind=entry_pb2.ENTRY_KIND_HEDGE,
        outcome=entry_pb2.ATTEMPT_OUTCOME_CANCELLED,
        may_be_billed=prompt_charged,
    )
    if used is not None and used.ByteSize() > 0:
        attempt.usage.CopyFrom(used)
        attempt.usage_source = entry_pb2.USAGE_SOURCE_REPORTED
    return attempt


def served(
    ask: Ask,
    kind: entry_pb2.EntryKind,
    model: str,
    usage: chat_pb2.TokenUsage,
    *,
    baseline_model: str,
    entry_id: str,
) -> entry_pb2.Attempt:
    """An answer that was paid for before: it costs nothing and saves what it cost then."""
    saved = entry_pb2.Counterfactual(cause=entry_pb2.SAVING_CAUSE_CACHE, model=model, usage=usage)
    return entry_pb2.Attempt(
        entry_id=entry_id,
        kind=kind,
        outcome=entry_pb2.ATTEMPT_OUTCOME_OK,
        model_asked=ask.model,
        model_used=model,
        usage_source=entry_pb2.USAGE_SOURCE_NONE,
        counterfactuals=[saved, *routing(ask, model, baseline_model, usage)],
        latency_ms=ask.latency_ms(),
        trace_id=ask.trace_id,
    )


def chain(
    ask: Ask, model: str, usage: chat_pb2.TokenUsage, *, extra: bool = False
) -> Sequence[entry_pb2.Counterfactual]:
    """Steps back from a call. A shorter prompt saved what the whole one would have cost more;
    routing what the baseline model would have cost more for that, where the router chose.

    `extra`: its answer is not taken, and without routing it would not have been made: routing cost
    what it cost.
    """
    shorter = compression_step(ask, model, usage)
    whole = usage if shorter is None else shorter.usage
    routed = [not_made(model)] if extra else routing(ask, model, ask.decision.baseline_model, whole)
    return [*([] if shorter is None else [shorter]), *routed]


def not_made(model: str) -> entry_pb2.Counterfactual:
    """Without routing this call would not have been made: it saved less than nothing."""
    return entry_pb2.Counterfactual(
        cause=entry_pb2.SAVING_CAUSE_ROUTING, model=model, usage=chat_pb2.TokenUsage()
    )


def routing(
    ask: Ask, model: str, baseline_model: str, usage: chat_pb2.TokenUsage
) -> Sequence[entry_pb2.Counterfactual]:
    """The step back to the baseline model, where the router chose another."""
    if not ask.automatic or not baseline_model or baseline_model == model:
        return ()
    return (
        entry_pb2.Counterfactual(
            cause=entry_pb2.SAVING_CAUSE_ROUTING,
            model=baseline_model,
            usage=usage,
        ),
    )
