"""Answers of Explain and Summary."""

from datetime import datetime

from spendgate.router.v1 import router_service_pb2 as pb

from catalog.fleet import Fleet
from catalog.schema import AUTO, RoutingPolicy
from services.router.advice import Advice
from services.router.candidate import Candidate
from services.router.check import check_item
from services.router.choose import choose
from services.router.classes import complexity
from services.router.convert import to_candidate, want_of
from services.router.mind import Mind
from services.router.route import answer

MODELS_MAX = 256
_VERDICTS = {
    None: pb.ROUTING_VERDICT_UNKNOWN,
    True: pb.ROUTING_VERDICT_PAYS,
    False: pb.ROUTING_VERDICT_DOES_NOT_PAY,
}


def explain(fleet: Fleet, mind: Mind, item: pb.RouteItem, at: datetime) -> pb.ExplainResponse:
    """What Route would decide and what weighed. Raises what one item of Route fails with."""
    check_item(item)
    want = want_of(item)
    reading = mind.read([want])[0]
    advice = reading.advice if reading else None
    decision = choose(fleet, want, at, advice, mind.unhealthy(at.timestamp()))
    policy = fleet.config.routing.policy_for(want.feature).policy
    response = pb.ExplainResponse(
        decision=answer(fleet, mind, want, decision),
        prospects=[_prospect(each, advice) for each in decision.able or [decision.chosen]],
        policy=policy.value if want.model == AUTO else "named",
    )
    if want.model == AUTO and policy is RoutingPolicy.CLASSES:
        response.complexity = complexity(want.description or want.text).value
    if advice is not None and reading is not None:
        response.need = advice.need
        response.labels = advice.labels
        response.nearest_request_ids.extend(advice.nearest)
        for name, deviation in mind.unusual(reading.vector):
            response.features.add(name=name, deviation=deviation)
    for each in decision.able:
        if each.card.name == decision.baseline_model and each.expected_nanos is not None:
            response.baseline_cost_nanos = each.expected_nanos
    return response


def _prospect(candidate: Candidate, advice: Advice | None) -> pb.Prospect:
    prospect = pb.Prospect(candidate=to_candidate(candidate))
    estimate = advice.estimates.get(candidate.card.name) if advice else None
    if estimate is not None:
        prospect.quality = estimate.quality
        prospect.quality_low = estimate.low
        prospect.own_share = estimate.trust
    return prospect


def summarize(fleet: Fleet, mind: Mind, tenant: str, at: datetime) -> pb.SummaryResponse:
    """What routing saved a tenant, and how good the answers were."""
    found, pays = mind.summary(tenant, at)
    response = pb.SummaryResponse(
        calls=found.calls,
        spent_nanos=str(found.spent_nanos),
        baseline_nanos=str(found.baseline_nanos),
        baseline_low_nanos=str(found.baseline_low_nanos),
        baseline_high_nanos=str(found.baseline_high_nanos),
        baseline_model=fleet.baseline_model(at) or "",
        labels=found.labels,
        verdict=_VERDICTS[pays],
    )
    if found.quality is not None:
        response.quality, response.quality_low, response.quality_high = found.quality
    seconds = at.timestamp()
    for name, row in list(found.models.items())[:MODELS_MAX]:
        vitals = mind.health().vitals(name, seconds)
        message = response.models.add(
            model=name,
            calls=row.calls,
            spent_nanos=str(row.spent_nanos),
            error_share=vitals.error_share,
            rate_limited_share=vitals.rate_limited_share,
            latency_ms=round(vitals.latency_ms or 0),
        )
        if row.scores:
            message.quality = sum(row.scores) / len(row.scores)
    return response
