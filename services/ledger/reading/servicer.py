"""ReadingService: proto in, call, proto out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from spendgate.ledger.v1 import reading_service_pb2 as pb
from spendgate.ledger.v1 import reading_service_pb2_grpc as rpc

from chassis.batch import answer_batch
from chassis.errors import FieldViolation, InvalidFields
from services.ledger.alerts.convert import to_pb_alert
from services.ledger.alerts.store import AlertStore
from services.ledger.convert import from_pb_time, to_pb_entry
from services.ledger.errors import TABLE
from services.ledger.insight.reconcile import TOLERANCE_PERMILLE_DEFAULT, reconcile
from services.ledger.money_moves import move
from services.ledger.paging import PageTokens, page_size
from services.ledger.reading import check, convert
from services.ledger.reading.booked import Booked, Names, UnknownDay
from services.ledger.reading.breakdown import BreakdownStore
from services.ledger.reading.events import import_verb
from services.ledger.reading.export import ExportStore
from services.ledger.reading.follow import Follower
from services.ledger.reading.insight_messages import (
    from_pb_line,
    to_pb_anatomy,
    to_pb_drifts,
    to_pb_found,
    to_pb_review,
)
from services.ledger.reading.insights import Insights
from services.ledger.rules.windows import DAY_US
from services.ledger.servicer import question_of, result_of
from services.ledger.writer import GroupCommit

SIZE_DEFAULT = 50
SIZE_MAX = 1000
ALERTS_MAX = 200
WATCH_SECONDS = 1.0
PERIOD_US_DEFAULT = 30 * DAY_US
# How long a question waits for the newest rows to be summed up.
CATCH_UP_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class ReadingDesk:
    """What the servicer hands its work to. `clock` gives microseconds since 1970."""

    breakdowns: BreakdownStore
    exports: ExportStore
    follower: Follower
    alerts: AlertStore
    insights: Insights
    booked: Booked
    names: Names
    writer: GroupCommit
    # Set when the service ends: watchers are let go.
    stopping: asyncio.Event
    pages: PageTokens
    clock: Callable[[], int]


class ReadingServicer(rpc.ReadingServiceServicer):
    """Converts and calls."""

    def __init__(self, desk: ReadingDesk) -> None:
        self._desk = desk
        self._import = import_verb(desk.clock)

    async def Breakdown(self, request: pb.BreakdownRequest, context: Any) -> pb.BreakdownResponse:
        """Sums what was booked."""
        check.check_breakdown(request)
        size = page_size(request.page_size, default=SIZE_DEFAULT, most=SIZE_MAX)
        place = self._desk.pages.place(question_of(request), request.page_token)
        # The end is part of the token: "now" stays the same from page to page.
        now_us = self._desk.clock()
        offset, end_us = (int(n) for n in place) if place else (0, convert.end_of(request, now_us))
        current = await self._desk.follower.catch_up(CATCH_UP_SECONDS_MAX)
        question = convert.to_question(request, end_us)
        found = await self._desk.breakdowns.breakdown(question, offset=offset, rows_max=size + 1)
        response = pb.BreakdownResponse(
            rows=[convert.to_pb_row(row, question.axes) for row in found.rows[:size]],
            total=convert.to_pb_row(found.total, ()),
            source=pb.READ_SOURCE_ROLLUPS if found.rollups else pb.READ_SOURCE_ENTRIES,
            behind=not current,
        )
        if len(found.rows) > size:
            response.next_page_token = self._desk.pages.token(
                question_of(request), (offset + size, end_us)
            )
        return response

    async def ExportEntries(
        self, request: pb.ExportEntriesRequest, context: Any
    ) -> AsyncIterator[pb.ExportEntriesResponse]:
        """Streams booked rows."""
        check.check_period(request)
        question = question_of(request)
        place = self._desk.pages.place(question, request.cursor, field="cursor")
        # Without an end it goes to where the books end, also when it goes on another day.
        asked = request.HasField("end_time")
        end_us = from_pb_time(request.end_time) if asked else self._desk.clock() + 1
        after_no = int(place[0]) if place else 0
        while True:
            piece = await self._desk.exports.piece(
                request.tenant, from_pb_time(request.start_time), end_us, after_no
            )
            if not piece.entries:
                return
            after_no = piece.last_no
            yield pb.ExportEntriesResponse(
                entries=[to_pb_entry(entry) for entry in piece.entries],
                cursor=self._desk.pages.token(question, (after_no,)),
                left_count=piece.left_count,
            )

    async def Anatomy(self, request: pb.AnatomyRequest, context: Any) -> pb.AnatomyResponse:
        """Tells where the money went."""
        check.check_period(request)
        start_us, end_us = self._period(request)
        found = await self._desk.insights.anatomy(request.tenant, start_us, end_us, request.feature)
        return pb.AnatomyResponse(anatomy=to_pb_anatomy(found))

    async def Opportunities(
        self, request: pb.OpportunitiesRequest, context: Any
    ) -> pb.OpportunitiesResponse:
        """Tells what could be saved."""
        check.check_period(request)
        start_us, end_us = self._period(request)
        return to_pb_found(
            await self._desk.insights.opportunities(
                request.tenant, start_us, end_us, request.dedicated_month_nanos
            )
        )

    async def Review(self, request: pb.ReviewRequest, context: Any) -> pb.ReviewResponse:
        """Holds a month against the one before."""
        check.check_review(request)
        found = await self._desk.insights.review(request.tenant, from_pb_time(request.month_time))
        return pb.ReviewResponse(review=to_pb_review(found))

    async def Reconcile(self, request: pb.ReconcileRequest, context: Any) -> pb.ReconcileResponse:
        """Holds a provider's numbers against the books."""
        check.check_reconcile(request)
        theirs = [from_pb_line(line) for line in request.lines]
        days = sorted({line.day for line in theirs})
        try:
            booked = await self._desk.booked.lines(request.tenant, days)
        except UnknownDay:
            violation = FieldViolation("lines", "names a day that is none")
            raise InvalidFields("REQUEST_INVALID", violation) from None
        providers = {line.provider for line in theirs}
        if "" not in providers:
            booked = [line for line in booked if line.provider in providers]
        drifts = reconcile(
            theirs,
            booked,
            same=self._desk.names.same,
            known=self._desk.names.known,
            tolerance_permille=request.tolerance_permille or TOLERANCE_PERMILLE_DEFAULT,
        )
        return to_pb_drifts(drifts)

    async def ImportUsage(
        self, request: pb.ImportUsageRequest, context: Any
    ) -> pb.ImportUsageResponse:
        """Books usage that went around the gateway."""
        answers = await answer_batch(
            request.items,
            span_name="ledger.import",
            errors=TABLE,
            handle=partial(move, self._desk.writer, self._import),
        )
        return pb.ImportUsageResponse(
            results=[result_of(pb.ImportUsageResult, "entry", a) for a in answers]
        )

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, context: Any
    ) -> pb.ListAlertsResponse:
        """Lists alerts."""
        check.check_alerts(request)
        size = page_size(request.page_size, default=SIZE_DEFAULT, most=ALERTS_MAX)
        place = self._desk.pages.place(question_of(request), request.page_token)
        before = int(place[0]) if place else None
        found = await self._desk.alerts.page(request.tenant, before_no=before, rows_max=size + 1)
        response = pb.ListAlertsResponse(alerts=[to_pb_alert(alert) for alert in found[:size]])
        if len(found) > size:
            last = found[size - 1].number
            response.next_page_token = self._desk.pages.token(question_of(request), (last,))
        return response

    async def WatchAlerts(
        self, request: pb.WatchAlertsRequest, context: Any
    ) -> AsyncIterator[pb.WatchAlertsResponse]:
        """Streams alerts as they are raised."""
        check.check_alerts(request)
        alerts = self._desk.alerts
        after = request.after_number
        if not request.HasField("after_number"):
            after = await alerts.last_number(request.tenant)
        while not self._desk.stopping.is_set():
            found = await alerts.after(request.tenant, after, ALERTS_MAX)
            for alert in found:
                after = alert.number
                yield pb.WatchAlertsResponse(alert=to_pb_alert(alert))
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._desk.stopping.wait(), WATCH_SECONDS)

    def _period(self, request: pb.AnatomyRequest | pb.OpportunitiesRequest) -> tuple[int, int]:
        asked = request.HasField("end_time")
        end_us = from_pb_time(request.end_time) if asked else self._desk.clock() + 1
        if request.HasField("start_time"):
            return from_pb_time(request.start_time), end_us
        return max(0, end_us - PERIOD_US_DEFAULT), end_us
