"""What a daily report says: gathered over gRPC, then laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cli.document import Bars, Document, Facts, Notes, Part, Table
from cli.place import Talk

TOP = 10
SECONDS_MAX = 120.0
ALERTS_MAX = 200


@dataclass(frozen=True, slots=True)
class Day:
    """The answers that a daily report is made from."""

    tenant: str
    day: date
    total: Any
    before: Any
    by: Mapping[str, Any]
    alerts: list[Any] = field(default_factory=list)
    opportunities: Any = None


async def gather(talk: Talk, tenant: str, day: date) -> Day:
    """Asks the ledger. Raises Problem."""
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=1)

    async def summed(axis: str | None, first: datetime, last: datetime, size: int = TOP) -> Any:
        request = pb.BreakdownRequest(
            tenant=tenant, group_by=[f"AXIS_{axis.upper()}"] if axis else [], page_size=size
        )
        request.start_time.FromDatetime(first)
        request.end_time.FromDatetime(last)
        return await talk.call("Breakdown", request, SECONDS_MAX)

    by = {axis: await summed(axis, start, end) for axis in ("feature", "model", "user")}
    by["hour"] = await summed("hour", start, end, 24)
    before = (await summed(None, start - timedelta(days=1), start)).total
    opportunities = pb.OpportunitiesRequest(tenant=tenant)
    opportunities.start_time.FromDatetime(end - timedelta(days=30))
    opportunities.end_time.FromDatetime(end)
    listed = await talk.call(
        "ListAlerts", pb.ListAlertsRequest(tenant=tenant, page_size=ALERTS_MAX)
    )
    alerts = [alert for alert in listed.alerts if start <= alert.event_time.ToDatetime(UTC) < end]
    found = await talk.call("Opportunities", opportunities, SECONDS_MAX)
    return Day(tenant, day, by["feature"].total, before, by, alerts, found)


def lay_out(day: Day) -> Document:
    """The report."""
    from cli.demo_money import percent, usd

    total = day.total.sums
    cost = int(total.cost_nanos)
    saved = int(total.counterfactual_nanos) - cost
    summary = (
        f"{usd(cost, 2)} for {total.request_count:,} requests, {usd(saved, 2)} saved by Spendgate;"
        f" the day before {usd(int(day.before.sums.cost_nanos), 2)}."
    )
    facts = Facts(
        [
            ("Total cost", usd(cost, 4)),
            ("Requests", f"{total.request_count:,}"),
            ("Tokens read", f"{total.input_tokens:,}"),
            ("Tokens written", f"{total.output_tokens:,}"),
            ("Saved", usd(saved, 4)),
            ("Mean latency", f"{total.latency_mean_ms:,} ms"),
            ("Latency p50 / p99", _latencies(day.total)),
            ("Cache hit rate", percent(total.hit_count, total.request_count)),
            ("Error rate", percent(total.error_count, total.request_count)),
        ]
    )
    parts: list[Part] = [
        facts,
        Bars("Cost by hour (UTC)", [_bar(row) for row in day.by["hour"].rows]),
        _costs("Cost by feature", "feature", day.by["feature"]),
        _costs("Cost by model", "model", day.by["model"]),
        _opportunities(day.opportunities),
        _costs(f"Top {TOP} users by cost", "user", day.by["user"]),
        Notes("Alerts", [f"{alert.title}: {alert.reason}" for alert in day.alerts]),
    ]
    return Document(f"Daily LLM cost report, {day.tenant}, {day.day}", summary, parts)


def _latencies(row: Any) -> str:
    from cli.report_rows import latency

    return f"{latency(row, 'latency_p50_ms')} / {latency(row, 'latency_p99_ms')} ms"


def _bar(row: Any) -> tuple[str, int, str]:
    from cli.demo_money import usd

    nanos = int(row.sums.cost_nanos)
    return row.sums.values[0][11:16], nanos, usd(nanos, 4)


def _costs(title: str, name: str, response: Any) -> Table:
    from cli.demo_money import percent, usd

    whole = int(response.total.sums.cost_nanos)
    rows = [
        [
            row.sums.values[0] or "(none)",
            f"{row.sums.request_count:,}",
            f"{row.sums.input_tokens + row.sums.output_tokens:,}",
            usd(int(row.sums.cost_nanos), 4),
            percent(int(row.sums.cost_nanos), whole),
        ]
        for row in response.rows
    ]
    headers = [name, "requests", "tokens", "cost", "share"]
    return Table(title, headers, rows, right=4, empty="nothing was booked")


def _opportunities(response: Any) -> Table:
    from cli.opportunities import rows_of

    headers, rows = rows_of(response.opportunities[:TOP]) if response else ((), ())
    return Table(
        "What could be saved (from the last 30 days)",
        headers,
        rows,
        right=2,
        empty="nothing was found",
    )
