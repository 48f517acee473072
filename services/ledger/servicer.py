"""LedgerService: proto in, call, proto out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.message import Message
from google.rpc import status_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from chassis.batch import answer_batch
from services.ledger import convert, convert_desk, validate, validate_desk
from services.ledger.errors import TABLE
from services.ledger.leasing import acquire_lease, return_lease
from services.ledger.money_moves import RECORD, RELEASE, RESERVE, SETTLE, Verb, move
from services.ledger.paging import PageTokens, page_size
from services.ledger.repricing import Repricing, Wanted
from services.ledger.rules.windows import HOUR_US, hour_start
from services.ledger.sql.budgets import BudgetStore
from services.ledger.sql.keys import KeyStore
from services.ledger.sql.reports import ReportStore
from services.ledger.verify import Difference
from services.ledger.writer import GroupCommit

LIST_SIZE_DEFAULT = 50
LIST_SIZE_MAX = 200
READ_SIZE_MAX = 1000
DIFFERENCES_MAX = 100

_COLUMNS = {
    pb.DIMENSION_FEATURE: "feature",
    pb.DIMENSION_MODEL: "model",
    pb.DIMENSION_USER: "user_id",
    pb.DIMENSION_PROJECT: "project",
    pb.DIMENSION_PROVIDER: "provider",
    pb.DIMENSION_KIND: "kind",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What the servicer hands its work to. `clock` gives microseconds since 1970."""

    writer: GroupCommit
    budgets: BudgetStore
    keys: KeyStore
    reports: ReportStore
    repricing: Repricing
    verify: Callable[[], Awaitable[Sequence[Difference]]]
    pages: PageTokens
    clock: Callable[[], int]


class LedgerServicer(rpc.LedgerServiceServicer):
    """Converts and calls."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def Reserve(self, request: pb.ReserveRequest, context: Any) -> pb.ReserveResponse:
        """Sets money aside."""
        answers = await self._batch(RESERVE, request.items)
        return pb.ReserveResponse(results=[result_of(pb.ReserveResult, "hold", a) for a in answers])

    async def Settle(self, request: pb.SettleRequest, context: Any) -> pb.SettleResponse:
        """Charges holds."""
        answers = await self._batch(SETTLE, request.items)
        return pb.SettleResponse(
            results=[result_of(pb.SettleResult, "settlement", a) for a in answers]
        )

    async def Release(self, request: pb.ReleaseRequest, context: Any) -> pb.ReleaseResponse:
        """Gives holds back."""
        answers = await self._batch(RELEASE, request.items)
        return pb.ReleaseResponse(results=[result_of(pb.ReleaseResult, "hold", a) for a in answers])

    async def Record(self, request: pb.RecordRequest, context: Any) -> pb.RecordResponse:
        """Books rows without holds."""
        answers = await self._batch(RECORD, request.items)
        return pb.RecordResponse(results=[result_of(pb.RecordResult, "entry", a) for a in answers])

    async def AcquireLease(
        self, request: pb.AcquireLeaseRequest, context: Any
    ) -> pb.AcquireLeaseResponse:
        """Sets a slice of budgets aside for a gateway."""
        return await acquire_lease(self._desk.writer, request)

    async def ReturnLease(
        self, request: pb.ReturnLeaseRequest, context: Any
    ) -> pb.ReturnLeaseResponse:
        """Takes a slice back."""
        return await return_lease(self._desk.writer, request)

    async def CreateBudget(
        self, request: pb.CreateBudgetRequest, context: Any
    ) -> pb.CreateBudgetResponse:
        """Makes a budget."""
        validate_desk.check_new_budget(request)
        view = await self._desk.budgets.create(convert_desk.from_pb_new_budget(request))
        return pb.CreateBudgetResponse(budget=convert_desk.to_pb_budget(view))

    async def GetBudget(self, request: pb.GetBudgetRequest, context: Any) -> pb.GetBudgetResponse:
        """Shows a budget."""
        validate_desk.check_budget_name(request.tenant, request.budget_id)
        view = await self._desk.budgets.get(request.tenant, request.budget_id)
        return pb.GetBudgetResponse(budget=convert_desk.to_pb_budget(view))

    async def ListBudgets(
        self, request: pb.ListBudgetsRequest, context: Any
    ) -> pb.ListBudgetsResponse:
        """Lists a tenant's budgets."""
        validate.check_tenant(request.tenant)
        size, after = self._page(request, LIST_SIZE_MAX)
        views = await self._desk.budgets.page(request.tenant, str(after or ""), size + 1)
        response = pb.ListBudgetsResponse(
            budgets=[convert_desk.to_pb_budget(v) for v in views[:size]]
        )
        if len(views) > size:
            response.next_page_token = self._token(request, views[size - 1].budget.budget_id)
        return response

    async def UpdateBudget(
        self, request: pb.UpdateBudgetRequest, context: Any
    ) -> pb.UpdateBudgetResponse:
        """Changes a budget's limit or mode."""
        validate_desk.check_update(request)
        budget = request.budget
        view = await self._desk.budgets.change(
            budget.scope.tenant, budget.budget_id, convert_desk.from_pb_budget_change(request)
        )
        return pb.UpdateBudgetResponse(budget=convert_desk.to_pb_budget(view))

    async def DeleteBudget(
        self, request: pb.DeleteBudgetRequest, context: Any
    ) -> pb.DeleteBudgetResponse:
        """Ends a budget."""
        validate_desk.check_budget_name(request.tenant, request.budget_id)
        await self._desk.budgets.delete(request.tenant, request.budget_id)
        return pb.DeleteBudgetResponse()

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Any) -> pb.CreateKeyResponse:
        """Makes a key."""
        validate_desk.check_new_key(request)
        key, secret = await self._desk.keys.create(convert_desk.from_pb_new_key(request))
        return pb.CreateKeyResponse(key=convert_desk.to_pb_key(key), secret=secret)

    async def ResolveKey(
        self, request: pb.ResolveKeyRequest, context: Any
    ) -> pb.ResolveKeyResponse:
        """Tells whose key a secret is."""
        key = await self._desk.keys.resolve(request.secret)
        return pb.ResolveKeyResponse(key=convert_desk.to_pb_key(key))

    async def ListKeys(self, request: pb.ListKeysRequest, context: Any) -> pb.ListKeysResponse:
        """Lists a tenant's keys."""
        validate.check_tenant(request.tenant)
        size, after = self._page(request, LIST_SIZE_MAX)
        keys = await self._desk.keys.page(request.tenant, str(after or ""), size + 1)
        response = pb.ListKeysResponse(keys=[convert_desk.to_pb_key(key) for key in keys[:size]])
        if len(keys) > size:
            response.next_page_token = self._token(request, keys[size - 1].key_id)
        return response

    async def DisableKey(
        self, request: pb.DisableKeyRequest, context: Any
    ) -> pb.DisableKeyResponse:
        """Ends a key."""
        validate_desk.check_key_name(request.tenant, request.key_id)
        key = await self._desk.keys.disable(request.tenant, request.key_id)
        return pb.DisableKeyResponse(key=convert_desk.to_pb_key(key))

    async def UpdateKey(self, request: pb.UpdateKeyRequest, context: Any) -> pb.UpdateKeyResponse:
        """Changes a key's settings."""
        validate_desk.check_key_update(request)
        key = await self._desk.keys.change(
            request.key.tenant, request.key.key_id, convert_desk.from_pb_key_change(request)
        )
        return pb.UpdateKeyResponse(key=convert_desk.to_pb_key(key))

    async def RotateKey(self, request: pb.RotateKeyRequest, context: Any) -> pb.RotateKeyResponse:
        """Gives a key a new secret."""
        validate_desk.check_rotate(request)
        key, secret = await self._desk.keys.rotate(
            request.tenant, request.key_id, convert.from_duration(request.grace)
        )
        return pb.RotateKeyResponse(key=convert_desk.to_pb_key(key), secret=secret)

    async def Report(self, request: pb.ReportRequest, context: Any) -> pb.ReportResponse:
        """Sums what was booked."""
        validate.check_report(request)
        size = page_size(request.page_size, default=LIST_SIZE_DEFAULT, most=READ_SIZE_MAX)
        place = self._desk.pages.place(question_of(request), request.page_token)
        # The end is part of the token: "now" stays the same from page to page.
        offset, end_us = (int(n) for n in place) if place else (0, self._end_us(request))
        report = await self._desk.reports.report(
            request.tenant,
            start_us=hour_start(convert.from_pb_time(request.start_time)),
            end_us=end_us,
            columns=[_COLUMNS[dimension] for dimension in request.group_by],
            offset=offset,
            rows_max=size + 1,
        )
        kind = [place for place, d in enumerate(request.group_by) if d == pb.DIMENSION_KIND]
        response = pb.ReportResponse(total=convert.to_pb_report_row((), report.total))
        for group in report.groups[:size]:
            values = [
                entry_pb2.EntryKind.Name(int(value)) if place in kind else str(value)
                for place, value in enumerate(group.values)
            ]
            response.rows.append(convert.to_pb_report_row(values, group.sums))
        if len(report.groups) > size:
            response.next_page_token = self._token(request, offset + size, end_us)
        return response

    async def ListEntries(
        self, request: pb.ListEntriesRequest, context: Any
    ) -> pb.ListEntriesResponse:
        """Lists booked rows."""
        validate.check_list_entries(request)
        size, before = self._page(request, READ_SIZE_MAX)
        rows = await self._desk.reports.entries(
            request.tenant,
            request.request_id,
            before_no=None if before is None else int(before),
            rows_max=size + 1,
        )
        response = pb.ListEntriesResponse(
            entries=[convert.to_pb_entry(entry) for _, entry in rows[:size]]
        )
        if len(rows) > size:
            response.next_page_token = self._token(request, rows[size - 1][0])
        return response

    async def Reprice(self, request: pb.RepriceRequest, context: Any) -> pb.RepriceResponse:
        """Prices rows again, and books what changed when told to."""
        validate_desk.check_reprice(request)
        size = page_size(request.page_size, default=READ_SIZE_MAX, most=READ_SIZE_MAX)
        place = self._desk.pages.place(question_of(request), request.page_token)
        after_no = int(place[0]) if place else 0
        asked = request.HasField("end_time")
        wanted = Wanted(
            tenant=request.tenant,
            start_us=convert.from_pb_time(request.start_time),
            end_us=convert.from_pb_time(request.end_time) if asked else self._desk.clock() + 1,
            model=request.model,
        )
        page = await self._desk.repricing.page(wanted, after_no, size, apply=request.apply)
        response = pb.RepriceResponse(
            repriced=[convert_desk.to_pb_repriced(told) for told in page.repriced],
            checked_count=page.checked_count,
            unpriced_count=page.unpriced_count,
        )
        if page.last_no is not None:
            response.next_page_token = self._token(request, page.last_no)
        return response

    async def VerifyBooks(
        self, request: pb.VerifyBooksRequest, context: Any
    ) -> pb.VerifyBooksResponse:
        """Checks that the books agree with themselves."""
        found = await self._desk.verify()
        return pb.VerifyBooksResponse(
            differences=[convert_desk.to_pb_difference(d) for d in found[:DIFFERENCES_MAX]],
            difference_count=len(found),
        )

    async def _batch(self, verb: Verb[Any], items: Sequence[Any]) -> Sequence[Any]:
        return await answer_batch(
            items,
            span_name=f"ledger.{verb.name}",
            errors=TABLE,
            handle=partial(move, self._desk.writer, verb),
        )

    def _page(self, request: Any, most: int) -> tuple[int, int | str | None]:
        """The page's size, and the place that it starts after. Raises: PageInvalid."""
        size = page_size(request.page_size, default=LIST_SIZE_DEFAULT, most=most)
        place = self._desk.pages.place(question_of(request), request.page_token)
        return size, place[0] if place else None

    def _token(self, request: Any, *place: int | str) -> str:
        return self._desk.pages.token(question_of(request), place)

    def _end_us(self, request: pb.ReportRequest) -> int:
        asked = request.HasField("end_time")
        end_us = convert.from_pb_time(request.end_time) if asked else self._desk.clock()
        return hour_start(end_us + HOUR_US - 1)


def question_of(request: Any) -> bytes:
    """What a page token is good for: the request without its paging."""
    bare: Message = type(request)()
    bare.CopyFrom(request)
    for field in ("page_size", "page_token", "cursor"):
        if field in bare.DESCRIPTOR.fields_by_name:
            bare.ClearField(field)
    name = request.DESCRIPTOR.full_name.encode()
    return bytes(name + b"\0" + bare.SerializeToString(deterministic=True))


def result_of(kind: Any, field: str, answer: Any) -> Any:
    """A result of a batch: its answer in `field`, or its error."""
    return kind(**{"error" if isinstance(answer, status_pb2.Status) else field: answer})
