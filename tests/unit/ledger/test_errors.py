"""Refusals as callers see them."""

from google.rpc import error_details_pb2

from services.ledger.errors import TABLE
from services.ledger.rules.refusals import BudgetDowngrade, BudgetExceeded
from services.ledger.rules.values import BudgetMode, BudgetUnit, BudgetWindow, Notice
from services.ledger.rules.windows import window_at
from tests.unit.ledger.making import NOW


def test_a_broken_budget_is_explained_to_people_and_to_programs() -> None:
    """The message speaks USD, the metadata nano-USD, the QuotaFailure names the budget."""
    status = TABLE.to_status(
        BudgetExceeded(
            Notice(
                "team-a",
                BudgetMode.HARD,
                BudgetUnit.NANO_USD,
                limit_amount=1_500_000_000,
                left_amount=-250_000,
                needed_amount=1,
                reset_us=window_at(BudgetWindow.MONTH, NOW).end_us,
                each=(("user", "ann"),),
            )
        )
    )
    info, quota = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(quota)
    assert info.domain == "ledger.spendgate"
    assert dict(info.metadata) == {
        "budgetId": "team-a",
        "unit": "NANO_USD",
        "limit": "1500000000",
        "left": "-250000",
        "needed": "1",
        "each.user": "ann",
        "limitNanos": "1500000000",
        "leftNanos": "-250000",
        "neededNanos": "1",
        "resetTime": "2026-04-01T00:00:00Z",
    }
    assert quota.violations[0].subject == "budget/team-a"
    assert quota.violations[0].description == (
        "the call may cost 0.000000001 USD; of the limit of 1.50 USD there is -0.00025 USD left;"
        " it starts anew at 2026-04-01T00:00:00Z"
    )


def test_a_lifetime_budget_never_starts_anew() -> None:
    """So it says nothing of that; and tokens are no dollars."""
    notice = Notice("b", BudgetMode.DOWNGRADE, BudgetUnit.TOKENS, 10, 3, 4, None)
    status = TABLE.to_status(BudgetDowngrade(notice))
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    assert "resetTime" not in info.metadata
    assert "limitNanos" not in info.metadata
    assert status.message.endswith(
        "the call may use 4 tokens; of the limit of 10 tokens there is 3 tokens left"
    )
