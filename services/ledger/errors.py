"""The one table from the ledger's refusals to statuses."""

import grpc

from catalog.money import usd_text
from chassis.errors import ErrorStatus, ErrorTable, FieldViolation
from services.ledger.rules import refusals
from services.ledger.rules.values import BudgetUnit, Notice
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
    return _broken("BUDGET_EXCEEDED", error.notice, "would be broken")


def _budget_downgrade(error: refusals.BudgetDowngrade) -> ErrorStatus:
    return _broken("BUDGET_DOWNGRADE", error.notice, "asks for the cheapest model")


def _broken(reason: str, notice: Notice, what: str) -> ErrorStatus:
    metadata = {
        "budgetId": notice.budget_id,
        "unit": notice.unit.name,
        "limit": str(notice.limit_amount),
        "left": str(notice.left_amount),
        "needed": str(notice.needed_amount),
    }
    if notice.unit is BudgetUnit.NANO_USD:
        metadata |= {
            "limitNanos": str(notice.limit_amount),
            "leftNanos": str(notice.left_amount),
            "neededNanos": str(notice.needed_amount),
        }
    metadata |= {f"each.{name}": value for name, value in notice.each}
    until = ""
    if notice.reset_us is not None:
        reset = to_datetime(notice.reset_us).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["resetTime"] = reset
        until = f"; it starts anew at {reset}"
    unit = notice.unit
    description = (
        f"the call may {_VERB[unit]} {_amount(notice.needed_amount, unit)}; of the limit of"
        f" {_amount(notice.limit_amount, unit)} there is {_amount(notice.left_amount, unit)}"
        f" left{until}"
    )
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        reason,
        f"budget {notice.budget_id} {what}: {description}",
        metadata,
        quota=((f"budget/{notice.budget_id}", description),),
    )


_VERB = {
    BudgetUnit.NANO_USD: "cost",
    BudgetUnit.TOKENS: "use",
    BudgetUnit.REQUESTS: "count",
}


def _amount(amount: int, unit: BudgetUnit) -> str:
    if unit is BudgetUnit.NANO_USD:
        return f"{usd_text(amount)} USD"
    return f"{amount} {unit.name.lower()}"


def _budget_unit_other(error: refusals.BudgetUnitOther) -> ErrorStatus:
    what = f"the budget counts {error.unit.name.lower()}"
    return ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_INVALID",
        f"update_mask: {what}",
        violations=(FieldViolation("update_mask", what),),
    )


def _lease_refused(error: refusals.LeaseRefused) -> ErrorStatus:
    what = "no slice of it can be had now; reserve each call"
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "LEASE_REFUSED",
        f"budget {error.budget_id}: {what}",
        {"budgetId": error.budget_id, "why": error.why},
        quota=((f"budget/{error.budget_id}", what),),
    )


def _lease_fenced(error: refusals.LeaseFenced) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.FAILED_PRECONDITION,
        "LEASE_FENCED",
        "this epoch of the lease is over, or another grant has its name",
        {"leaseId": error.lease_id, "epoch": str(error.epoch)},
        preconditions=(("LEASE", f"lease/{error.lease_id}", "the epoch must be a new one"),),
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
        refusals.BudgetDowngrade: _budget_downgrade,
        refusals.LeaseRefused: _lease_refused,
        refusals.LeaseFenced: _lease_fenced,
        refusals.BudgetUnknown: _budget_unknown,
        refusals.BudgetUnitOther: _budget_unit_other,
        refusals.KeyInvalid: _key_invalid,
        refusals.KeyUnknown: _key_unknown,
        refusals.BooksUnavailable: _books_unavailable,
    },
)
