"""Between the contract's messages and FitContext."""

from typing import Final

from google.rpc import status_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from services.tokenizer.compress.convert import removal_of
from services.tokenizer.context.fit import Fitted, Wish
from services.tokenizer.context.plan import BUDGET_TOKENS_DEFAULT, Plan, Policy, Shape, Why
from services.tokenizer.convert import count_of, segments_of
from services.tokenizer.errors import context_invalid
from services.tokenizer.models import Model
from services.tokenizer.prepare import Fit, Prepared
from services.tokenizer.prices import rates_of

_POLICIES: Final = {
    pb.CONTEXT_POLICY_UNSPECIFIED: Policy.AUTO,
    pb.CONTEXT_POLICY_AUTO: Policy.AUTO,
    pb.CONTEXT_POLICY_APPEND_ONLY: Policy.APPEND_ONLY,
    pb.CONTEXT_POLICY_SLIDING_WINDOW: Policy.SLIDING_WINDOW,
    pb.CONTEXT_POLICY_WINDOW_WITH_FACTS: Policy.WINDOW_WITH_FACTS,
    pb.CONTEXT_POLICY_SUMMARY: Policy.SUMMARY,
}
_DECISIONS: Final = {
    Why.KEPT: pb.CONTEXT_DECISION_KEPT,
    Why.BREAK_EVEN: pb.CONTEXT_DECISION_CUT_BREAK_EVEN,
    Why.COLD_CACHE: pb.CONTEXT_DECISION_CUT_COLD_CACHE,
    Why.CLIFF: pb.CONTEXT_DECISION_CUT_CLIFF,
    Why.WINDOW: pb.CONTEXT_DECISION_CUT_WINDOW,
    Why.BUDGET: pb.CONTEXT_DECISION_CUT_BUDGET,
}
_BECAUSE: Final = {
    Why.BREAK_EVEN: "it pays before the conversation is likely to end",
    Why.COLD_CACHE: "the provider's cache has run out, all is written again anyway",
    Why.CLIFF: "a dearer price began at this length",
    Why.WINDOW: "the model takes no more",
    Why.BUDGET: "the budget was full",
}
_LIMITS: Final = (
    "budget_tokens",
    "window_tokens",
    "cliff_input_tokens_over",
    "cacheable_prefix_tokens_min",
    "cache_lifetime_seconds",
    "idle_seconds",
    "expected_rest_turns",
)
_LIMIT_MAX: Final = 10**9
_PICOS_PER_MICRO: Final = 10**6


def wish_of(item: pb.FitContextItem) -> tuple[Wish, Shape]:
    """What an item asks for. Raises InvalidFields (CONTEXT_INVALID, PRICE_INVALID)."""
    policy = _policy_of(item, "")
    rest = item.expected_rest_turns if item.HasField("expected_rest_turns") else None
    wish = Wish(
        policy,
        item.budget_tokens or BUDGET_TOKENS_DEFAULT,
        item.cut_from_message,
        item.idle_seconds,
        rest,
    )
    return wish, _shape_of(item, "")


def fit_of(options: pb.FitOptions) -> Fit:
    """What a prompt's options ask for. Raises InvalidFields (CONTEXT_INVALID, PRICE_INVALID)."""
    return Fit(
        _policy_of(options, "fit."),
        options.budget_tokens or BUDGET_TOKENS_DEFAULT,
        _shape_of(options, "fit."),
        options.cut_from_message if options.HasField("cut_from_message") else None,
        options.idle_seconds if options.HasField("idle_seconds") else None,
        options.expected_rest_turns if options.HasField("expected_rest_turns") else None,
    )


def _policy_of(wanted: pb.FitContextItem | pb.FitOptions, path: str) -> Policy:
    policy = _POLICIES.get(wanted.policy)
    if policy is None:
        raise context_invalid(f"{path}policy", "is not a known policy")
    for name in _LIMITS:
        if not 0 <= getattr(wanted, name) <= _LIMIT_MAX:
            raise context_invalid(f"{path}{name}", f"must be 0 to {_LIMIT_MAX}")
    return policy


def _shape_of(wanted: pb.FitContextItem | pb.FitOptions, path: str) -> Shape:
    return Shape(
        rates_of(wanted.price, f"{path}price"),
        wanted.cacheable_prefix_tokens_min,
        wanted.cache_lifetime_seconds,
        wanted.window_tokens,
        wanted.cliff_input_tokens_over,
    )


def prepared_of(model: Model, done: Prepared) -> pb.Prepared:
    """A measured prompt with what to change of it; the segments sum to the input."""
    prepared = pb.Prepared(
        input=count_of(model, done.sent.total()), segments=segments_of(done.sent)
    )
    if done.plan is not None:
        prepared.decision = _DECISIONS[done.plan.why]
        prepared.arithmetic = in_words(done.plan)
    if not done.changed:
        return prepared
    prepared.original_segments.CopyFrom(segments_of(done.given))
    prepared.removals.extend(removal_of(each) for each in done.removals)
    edits = prepared.edits
    edits.cut_from_message = done.cut_from
    edits.memory, edits.memory_tokens = done.memory, done.memory_tokens
    for place, content in done.contents.items():
        edits.contents.add(message=place, content=content)
    return prepared


def fitted_of(model: Model, done: Fitted) -> pb.FittedContext:
    """The messages to send with the decision and its arithmetic."""
    plan = done.plan
    return pb.FittedContext(
        messages=done.messages,
        count=count_of(model, done.total()),
        system_tokens=done.system.tokens,
        memory_tokens=done.memory.tokens,
        history_tokens=done.history.tokens,
        new_tokens=done.new.tokens,
        cut_from_message=done.cut_from,
        decision=_DECISIONS[plan.why],
        arithmetic=in_words(plan),
        removed_tokens=0 if plan.why is Why.KEPT else plan.removed_tokens,
    )


def in_words(plan: Plan) -> str:
    """The decision for people, with its numbers."""
    if plan.why is Why.KEPT and not plan.removed_tokens:
        return "kept: there is nothing to cut"
    price = (
        f"cutting {plan.removed_tokens:,} tokens costs {_usd(plan.rewrite_picos)} in cache "
        f"re-writes and saves {_usd(plan.saved_picos_a_turn)} a turn; break-even "
        f"{plan.break_even_turns} turns, expected rest {plan.expected_rest_turns}"
    )
    if plan.why is Why.KEPT:
        return f"kept: {price}"
    return f"cut because {_BECAUSE[plan.why]}: {price}"


def fit_result(outcome: pb.FittedContext | status_pb2.Status) -> pb.FitContextResult:
    """One item's result."""
    if isinstance(outcome, pb.FittedContext):
        return pb.FitContextResult(fitted=outcome)
    return pb.FitContextResult(error=outcome)


def _usd(picos: int) -> str:
    """Dollars with six digits, rounded half up; for people only."""
    micros = (picos + _PICOS_PER_MICRO // 2) // _PICOS_PER_MICRO
    return f"${micros // 10**6}.{micros % 10**6:06d}"
