"""What the router refuses with: the one table from its exceptions to statuses."""

import grpc

from catalog.nearest import nearest
from catalog.prices import UnknownModel
from catalog.schema import AUTO
from chassis.errors import ErrorStatus, ErrorTable
from services.router.choose import NoCandidate
from services.router.mind import OutcomesUnavailable, ProposalUnknown, TooManyTenants
from services.router.own.tenant import DecisionUnknown, OutcomeReused

DOMAIN = "router.spendgate"

# A status travels on in trailers, which have room for a few thousand bytes.
EXCLUSIONS_NAMED_MAX = 16


def _model_unknown(error: UnknownModel) -> ErrorStatus:
    meant = error.nearest or nearest(error.model, (AUTO,))
    return ErrorStatus(
        grpc.StatusCode.NOT_FOUND,
        "MODEL_UNKNOWN",
        "no model of this name is configured" + (f"; did you mean {meant}?" if meant else ""),
        {"nearest": meant} if meant else {},
    )


def _no_candidate(error: NoCandidate) -> ErrorStatus:
    first, count = error.exclusions[:EXCLUSIONS_NAMED_MAX], len(error.exclusions)
    message = (
        f"{first[0].model} cannot take this request: {first[0].detail}"
        if count == 1
        else f"none of {count} models can take this request"
    )
    return ErrorStatus(
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_CANDIDATE",
        message,
        {"modelCount": str(count)},
        preconditions=[(each.ground.name, each.model, each.detail) for each in first],
    )


def _decision_unknown(error: DecisionUnknown) -> ErrorStatus:
    message = "no decision of this tenant has this request id, or it is too long ago"
    return ErrorStatus(grpc.StatusCode.NOT_FOUND, "DECISION_UNKNOWN", message)


def _reused(error: OutcomeReused) -> ErrorStatus:
    message = "this request, model and source were reported with another content"
    return ErrorStatus(grpc.StatusCode.ALREADY_EXISTS, "ID_REUSED", message)


def _unavailable(error: OutcomesUnavailable | TooManyTenants) -> ErrorStatus:
    message = "outcomes cannot be kept now; the report was not taken"
    return ErrorStatus(grpc.StatusCode.UNAVAILABLE, "OUTCOMES_UNAVAILABLE", message)


def _proposal_unknown(_: ProposalUnknown) -> ErrorStatus:
    message = "this is not what is proposed for the tenant now; list the proposals again"
    return ErrorStatus(grpc.StatusCode.NOT_FOUND, "PROPOSAL_UNKNOWN", message)


TABLE = ErrorTable(
    DOMAIN,
    {
        UnknownModel: _model_unknown,
        NoCandidate: _no_candidate,
        DecisionUnknown: _decision_unknown,
        OutcomeReused: _reused,
        OutcomesUnavailable: _unavailable,
        TooManyTenants: _unavailable,
        ProposalUnknown: _proposal_unknown,
    },
)
