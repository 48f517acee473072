"""The demo's way to the ledger: budgets before the day, reports after it."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from spendgate.ledger.v1 import budget_pb2, key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as pb_grpc

from chassis.channel import Link
from chassis.deadline import Deadline
from cli.demo_call import cause_name
from cli.demo_figures import Books
from cli.demo_tables import BudgetPlan

SERVICE = "spendgate.ledger.v1.LedgerService"
CALL_SECONDS_MAX = 10.0
ROWS_MAX = 100


class LedgerDesk:
    """One tenant's books. Every method raises RemoteError with the ledger's status."""

    def __init__(self, target: str, token: str | None, tenant: str) -> None:
        self._tenant = tenant
        self._link = Link(target, SERVICE, token)
        self._stub: Any = self._link.stub(pb_grpc.LedgerServiceStub)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._link.close()

    async def create_key(self, key_id: str) -> str:
        """Makes a key that calls models for the tenant; its secret."""
        request = pb.CreateKeyRequest(
            key_id=key_id, tenant=self._tenant, role=key_pb2.KEY_ROLE_CALLER
        )
        response = await self._call(self._stub.CreateKey, request)
        return str(response.secret)

    async def create_budget(self, plan: BudgetPlan) -> None:
        """Makes a budget for a day, of one feature or of the whole tenant."""
        request = pb.CreateBudgetRequest(
            budget_id=plan.budget_id,
            scope=budget_pb2.BudgetScope(tenant=self._tenant, feature=plan.feature),
            window=budget_pb2.BUDGET_WINDOW_DAY,
            limit_nanos=plan.limit_nanos,
        )
        await self._call(self._stub.CreateBudget, request)

    async def report(self, *group_by: pb.Dimension) -> tuple[Sequence[Books], Books]:
        """The groups, dearest first, and their total. At most ROWS_MAX groups."""
        request = pb.ReportRequest(tenant=self._tenant, group_by=group_by, page_size=ROWS_MAX)
        response = await self._call(self._stub.Report, request)
        return [_books(row) for row in response.rows], _books(response.total)

    async def _call(self, method: Any, request: Any) -> Any:
        return await self._link.call(method, request, Deadline.after(CALL_SECONDS_MAX))


def _books(row: pb.ReportRow) -> Books:
    return Books(
        values=tuple(row.values),
        requests=row.request_count,
        hits=row.hit_count,
        errors=row.error_count,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost_nanos=int(row.cost_nanos),
        counterfactual_nanos=int(row.counterfactual_nanos),
        saved_nanos={cause_name(s.cause): int(s.saved_nanos) for s in row.savings},
    )
