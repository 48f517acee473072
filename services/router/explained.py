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
from services.router.own.policy_curve import Point
from services.router.own.summary import best_probabilities, interval
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
    policy = fleet.config.routing.policy_for(want.feature, want.policy).policy
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
    curve = mind.curve(tenant)
    if curve is not None:
        response.curve.extend(to_point(point) for point in curve.points)
        response.curve_baseline.CopyFrom(to_point(curve.baseline))
        response.curve_prompts = curve.prompts
    holds = mind.bound(tenant)
    response.quality_percent_min = holds.quality_percent_min
    response.policy_version = holds.version
    sure = best_probabilities({name: row.scores for name, row in found.models.items()})
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
        ends = interval(row.scores)
        if ends is not None:
            message.quality, message.quality_low, message.quality_high = ends
            message.labels = len(row.scores)
            message.best_probability = sure[name]
    return response


def proposals(mind: Mind, tenant: str) -> pb.ListProposalsResponse:
    """What is proposed for a tenant."""
    response = pb.ListProposalsResponse()
    found = mind.proposal(tenant)
    if found is not None:
        response.proposals.add(
            proposal_id=found.proposal_id,
            expected=to_point(found.expected),
            present=to_point(found.present),
            baseline=to_point(found.baseline),
            prompts=found.prompts,
            policy_version=found.version,
        )
    return response


def to_point(point: Point) -> pb.CurvePoint:
    """A point of the curve as the contract has it."""
    return pb.CurvePoint(
        quality_percent_min=point.quality_percent_min,
        quality=point.quality,
        quality_low=point.low,
        quality_high=point.high,
        cost_nanos=point.nanos,
    )
