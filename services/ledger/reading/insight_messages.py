"""Insights as the contract has them."""

from collections.abc import Sequence

from spendgate.ledger.v1 import insight_pb2
from spendgate.ledger.v1 import reading_service_pb2 as pb

from services.ledger.convert import from_pb_tokens, to_pb_time, to_pb_tokens
from services.ledger.insight.anatomy import MEANINGS
from services.ledger.insight.opportunity import Opportunity
from services.ledger.insight.reconcile import Drift, Line, totals
from services.ledger.reading.insights import Anatomy, Found, Review
from services.ledger.rules.values import SavingCause


def to_pb_anatomy(found: Anatomy) -> insight_pb2.Anatomy:
    """Parts that add nothing are left out, but for the estimate."""
    return insight_pb2.Anatomy(
        parts=[
            insight_pb2.AnatomyPart(name=name, nanos=nanos, meaning=MEANINGS[name])
            for place, (name, nanos) in enumerate(found.parts)
            if nanos or not place
        ],
        cost_nanos=found.cost_nanos,
        segmented_call_count=found.segmented_calls,
        call_count=found.calls,
    )


def to_pb_found(found: Found) -> pb.OpportunitiesResponse:
    """Opportunities."""
    return pb.OpportunitiesResponse(
        opportunities=_opportunities(found.opportunities),
        cost_nanos=found.cost_nanos,
        lacking=found.lacking,
    )


def to_pb_review(found: Review) -> insight_pb2.Review:
    """A review."""
    return insight_pb2.Review(
        month_time=to_pb_time(found.start_us),
        cost_nanos=found.now.cost_nanos,
        cost_before_nanos=found.before.cost_nanos,
        request_count=found.now.requests,
        request_before_count=found.before.requests,
        changes=[
            insight_pb2.ReviewChange(
                feature=each.feature,
                cost_nanos=each.now.cost_nanos,
                cost_before_nanos=each.before.cost_nanos,
                volume_nanos=each.volume_nanos,
                rate_nanos=each.rate_nanos,
            )
            for each in found.changes
        ],
        savings=[
            insight_pb2.ReviewSaving(
                cause=f"SAVING_CAUSE_{cause.name}",
                saved_nanos=found.now.saved[cause],
                saved_before_nanos=found.before.saved[cause],
            )
            for cause in SavingCause
            if found.now.saved[cause] or found.before.saved[cause]
        ],
        outcomes=[
            insight_pb2.ReviewOutcome(
                before=_opportunity(each.before),
                expected_nanos=each.expected_nanos,
                left_nanos=each.left_nanos,
                realised_nanos=each.realised_nanos,
            )
            for each in found.outcomes
        ],
        opportunities=_opportunities(found.opportunities),
        anatomy=to_pb_anatomy(found.anatomy),
    )


def from_pb_line(line: insight_pb2.ProviderLine) -> Line:
    """What a provider says."""
    return Line(
        day=line.day,
        model=line.model,
        provider=line.provider,
        requests=line.request_count if line.HasField("request_count") else None,
        tokens=from_pb_tokens(line.usage) if line.HasField("usage") else None,
        cost_nanos=line.cost_nanos if line.HasField("cost_nanos") else None,
    )


def to_pb_drifts(drifts: Sequence[Drift]) -> pb.ReconcileResponse:
    """Both sides, line by line, and in all."""
    theirs, ours = totals(drifts)
    return pb.ReconcileResponse(
        drifts=[
            insight_pb2.Drift(
                provider=_line(each.theirs),
                booked=_line(each.ours),
                cost_drift_nanos=each.cost_nanos,
                cause=f"DRIFT_CAUSE_{each.cause.name}",
                explanation=each.explanation,
            )
            for each in drifts
        ],
        provider_cost_nanos=theirs,
        booked_cost_nanos=ours,
    )


def _line(line: Line) -> insight_pb2.ProviderLine:
    return insight_pb2.ProviderLine(
        day=line.day,
        model=line.model,
        provider=line.provider,
        request_count=line.requests,
        usage=None if line.tokens is None else to_pb_tokens(line.tokens),
        cost_nanos=line.cost_nanos,
    )


def _opportunities(found: Sequence[Opportunity]) -> list[insight_pb2.Opportunity]:
    return [_opportunity(each) for each in found]


def _opportunity(each: Opportunity) -> insight_pb2.Opportunity:
    return insight_pb2.Opportunity(
        kind=f"OPPORTUNITY_KIND_{each.kind.name}",
        subject=each.subject,
        month_nanos=each.month_nanos,
        month_nanos_low=each.low_nanos,
        month_nanos_high=each.high_nanos,
        evidence=each.evidence,
        request_ids=each.request_ids,
        setting=each.setting,
        method=each.method,
    )
