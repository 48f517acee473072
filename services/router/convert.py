"""Between the contract's messages and the rules' values."""

from collections.abc import Iterable

from spendgate.router.v1 import router_service_pb2 as pb

from catalog.checks import Check
from catalog.models import ModelCard
from catalog.price import RATE_NAMES, ModelPrice
from catalog.schema import AUTO, Capability, is_automatic, policy_word
from services.router.candidate import Candidate, Decision, Ground, Reason, Want

# Models left out that a decision names; its explanation counts all.
EXCLUSIONS_NAMED_MAX = 64

CAPABILITIES = {
    pb.CAPABILITY_TOOLS: Capability.TOOLS,
    pb.CAPABILITY_VISION: Capability.VISION,
    pb.CAPABILITY_AUDIO: Capability.AUDIO,
    pb.CAPABILITY_JSON_SCHEMA: Capability.JSON_SCHEMA,
    pb.CAPABILITY_REASONING: Capability.REASONING,
}
_CAPABILITY_NUMBERS = {capability: number for number, capability in CAPABILITIES.items()}
_REASONS = {
    Reason.FIXED: pb.ROUTE_REASON_FIXED,
    Reason.CHEAPEST_CAPABLE: pb.ROUTE_REASON_CHEAPEST_CAPABLE,
    Reason.TARGET_MET: pb.ROUTE_REASON_TARGET_MET,
    Reason.TARGET_DEFAULT: pb.ROUTE_REASON_TARGET_DEFAULT,
    Reason.CHEAPEST: pb.ROUTE_REASON_CHEAPEST,
    Reason.BEST: pb.ROUTE_REASON_BEST,
    Reason.POLICY_FIXED: pb.ROUTE_REASON_POLICY_FIXED,
    Reason.POLICY_DEFAULT: pb.ROUTE_REASON_POLICY_DEFAULT,
    Reason.WEIGHTED: pb.ROUTE_REASON_WEIGHTED,
    Reason.CLASS: pb.ROUTE_REASON_CLASS,
    Reason.MOST_CAPABLE: pb.ROUTE_REASON_MOST_CAPABLE,
    Reason.LATENCY: pb.ROUTE_REASON_LATENCY,
    Reason.BUDGET: pb.ROUTE_REASON_BUDGET,
}
CHECKS = {
    Check.FINISHED: pb.CHECK_FINISHED,
    Check.NOT_EMPTY: pb.CHECK_NOT_EMPTY,
    Check.JSON: pb.CHECK_JSON,
    Check.TOOL_CALL: pb.CHECK_TOOL_CALL,
    Check.AGREEMENT: pb.CHECK_AGREEMENT,
    Check.NOT_REFUSED: pb.CHECK_NOT_REFUSED,
}
_GROUNDS = {
    Ground.RETIRED: pb.EXCLUSION_REASON_RETIRED,
    Ground.NOT_ROUTABLE: pb.EXCLUSION_REASON_NOT_ROUTABLE,
    Ground.TENANT: pb.EXCLUSION_REASON_TENANT,
    Ground.REGION: pb.EXCLUSION_REASON_REGION,
    Ground.DEPRECATED: pb.EXCLUSION_REASON_DEPRECATED,
    Ground.UNHEALTHY: pb.EXCLUSION_REASON_UNHEALTHY,
    Ground.CAPABILITY: pb.EXCLUSION_REASON_CAPABILITY,
    Ground.CONTEXT_WINDOW: pb.EXCLUSION_REASON_CONTEXT_WINDOW,
    Ground.OUTPUT_LIMIT: pb.EXCLUSION_REASON_OUTPUT_LIMIT,
    Ground.UNPRICED: pb.EXCLUSION_REASON_UNPRICED,
    Ground.COST_MAX: pb.EXCLUSION_REASON_COST_MAX,
}


def want_of(item: pb.RouteItem) -> Want:
    """What a checked item asks for."""
    return Want(
        model=AUTO if is_automatic(item.model) else item.model,
        policy=policy_word(item.model),
        input_tokens=item.input_tokens,
        output_tokens_max=item.output_tokens_max or None,
        needs=frozenset(CAPABILITIES[need] for need in item.needs),
        cost_max_nanos=item.cost_max_nanos if item.HasField("cost_max_nanos") else None,
        choice_count=item.choice_count or 1,
        tenant=item.tenant,
        feature=item.feature,
        text=item.text,
        description=item.task_description,
        embedding=tuple(item.embedding),
        draw_key=item.request_id,
        region=item.region or None,
        budget_used_percent=(
            item.budget_used_percent if item.HasField("budget_used_percent") else None
        ),
        session_model=item.session_model,
        warm_input_tokens=item.warm_input_tokens,
        json_wanted=item.json_wanted,
        cheapest=item.cheapest,
        allowed_models=tuple(item.allowed_models),
    )


def to_decision(decision: Decision) -> pb.Decision:
    """The decision as the contract has it."""
    return pb.Decision(
        chosen=to_candidate(decision.chosen),
        fallbacks=[to_candidate(each) for each in decision.fallbacks],
        reason=_REASONS[decision.reason],
        explanation=decision.explanation,
        exclusions=[
            pb.Exclusion(model=each.model, reason=_GROUNDS[each.ground], detail=each.detail)
            for each in decision.exclusions[:EXCLUSIONS_NAMED_MAX]
        ],
        baseline_model=decision.baseline_model or "",
        propensities=[
            pb.Propensity(model=model, probability=share)
            for model, share in decision.propensities.items()
        ],
    )


def to_model(card: ModelCard, price: ModelPrice | None) -> pb.Model:
    """A configured model with its price; None stands for an unknown one."""
    status = pb.PRICE_STATUS_UNPRICED if price is None else pb.PRICE_STATUS_PRICED
    return pb.Model(
        model=card.name,
        provider=card.provider,
        upstream_model=card.upstream_model,
        capabilities=_numbers(card.capabilities or ()),
        context_window_tokens=card.context_window_tokens or 0,
        output_tokens_max=card.output_tokens_max or 0,
        price_status=status,
        price=None if price is None else _price(price),
        aliases=card.aliases,
        routable=card.routable,
    )


def to_candidate(candidate: Candidate) -> pb.Candidate:
    """A candidate as the contract has it."""
    return pb.Candidate(
        model=candidate.card.name,
        provider=candidate.card.provider,
        upstream_model=candidate.card.upstream_model,
        expected_cost_nanos=candidate.expected_nanos,
        worst_case_nanos=candidate.worst_nanos,
        output_tokens_max=candidate.output_tokens_max,
        price_version=candidate.price_version,
    )


def _price(price: ModelPrice) -> pb.Price:
    message = pb.Price(
        price_version=price.version, **{name: getattr(price.rates, name) for name in RATE_NAMES}
    )
    if price.start is not None:
        message.start_time.FromDatetime(price.start)
    return message


def _numbers(capabilities: Iterable[Capability]) -> "list[pb.Capability]":
    return sorted(_CAPABILITY_NUMBERS[capability] for capability in capabilities)
