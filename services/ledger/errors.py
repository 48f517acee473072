"""The one table from the ledger's refusals to statuses."""

import grpc

from catalog.money import usd_text
from chassis.errors import ErrorStatus, ErrorTable, FieldViolation
from services.ledger.rules import refusals
from services.ledger.rules.windows import to_datetime

DOMAIN = "ledger.spendgate"
RETRY_SECONDS = 1.0


def _page_invalid(error: refusals.PageInvalid) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "PAGE_INVALID",
        f"{error.field}: {error.description}",
        violations=(FieldViolation(error.field, error.description),),
    )


def _id_reused(error: refusals.IdReused) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.ALREADY_EXISTS,
        "ID_REUSED",
        "this id was used for another command",
        {"id": error.used_id},
    )


def _hold_unknown(error: refusals.HoldUnknown) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.NOT_FOUND, "HOLD_UNKNOWN", "no such hold", {"holdId": error.hold_id}
    )


def _hold_resolved(error: refusals.HoldResolved) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.FAILED_PRECONDITION,
        "HOLD_RESOLVED",
        f"the hold is {error.state.name.lower()} already",
        {"holdId": error.hold_id, "state": error.state.name},
        preconditions=(("HOLD", f"hold/{error.hold_id}", "must be pending or lapsed"),),
    )


def _usage_impossible(error: refusals.UsageImpossible) -> ErrorStatus:
    what = "no call can have used so many tokens; a bucket holds 0 to 10^12"
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "USAGE_IMPOSSIBLE",
        f"{error.field}: {what}",
        violations=(FieldViolation(error.field, what),),
    )


def _model_unpriced(error: refusals.ModelUnpriced) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_UNPRICED",
        "the price of the model is unknown, so its cost cannot be booked",
        {"model": error.model},
        preconditions=(("PRICE", "model", "must have a price in the fleet file"),),
    )


def _budget_exceeded(error: refusals.BudgetExceeded) -> ErrorStatus:
    metadata = {
        "budgetId": error.budget_id,
        "limitNanos": str(error.limit_nanos),
        "leftNanos": str(error.left_nanos),
        "neededNanos": str(error.needed_nanos),
    }
    until = ""
    if error.reset_us is not None:
        reset = to_datetime(error.reset_us).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["resetTime"] = reset
        until = f"; it starts anew at {reset}"
    description = (
        f"the call may cost {usd_text(error.needed_nanos)} USD; of the limit of"
        f" {usd_text(error.limit_nanos)} USD there is {usd_text(error.left_nanos)} USD left{until}"
    )
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "BUDGET_EXCEEDED",
        f"budget {error.budget_id} would be broken: {description}",
        metadata,
        quota=((f"budget/{error.budget_id}", description),),
    )


def _budget_unknown(error: refusals.BudgetUnknown) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.NOT_FOUND, "BUDGET_UNKNOWN", "no such budget", {"budgetId": error.budget_id}
    )


def _key_invalid(_: refusals.KeyInvalid) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAUTHENTICATED, "KEY_INVALID", "the key does not open anything"
    )


def _key_unknown(error: refusals.KeyUnknown) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.NOT_FOUND, "KEY_UNKNOWN", "no such key", {"keyId": error.key_id}
    )


def _books_unavailable(_: refusals.BooksUnavailable) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.UNAVAILABLE,
        "BOOKS_UNAVAILABLE",
        "the database did not answer; nothing was booked",
        retry_after_seconds=RETRY_SECONDS,
    )


TABLE = ErrorTable(
    DOMAIN,
    {
        refusals.PageInvalid: _page_invalid,
        refusals.IdReused: _id_reused,
        refusals.HoldUnknown: _hold_unknown,
        refusals.HoldResolved: _hold_resolved,
        refusals.UsageImpossible: _usage_impossible,
        refusals.ModelUnpriced: _model_unpriced,
        refusals.BudgetExceeded: _budget_exceeded,
        refusals.BudgetUnknown: _budget_unknown,
        refusals.KeyInvalid: _key_invalid,
        refusals.KeyUnknown: _key_unknown,
        refusals.BooksUnavailable: _books_unavailable,
    },
)
