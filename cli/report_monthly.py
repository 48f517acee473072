"""What a monthly review says."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from cli.document import Bars, Document, Facts, Notes, Part, Table
from cli.place import Talk

SECONDS_MAX = 600.0
ROWS_MAX = 15


async def gather(talk: Talk, tenant: str, month: date) -> Any:
    """Asks the ledger for the review. Raises Problem."""
    from spendgate.ledger.v1 import reading_service_pb2 as pb

    request = pb.ReviewRequest(tenant=tenant)
    request.month_time.FromDatetime(datetime(month.year, month.month, 1, tzinfo=UTC))
    return (await talk.call("Review", request, SECONDS_MAX)).review


def lay_out(tenant: str, review: Any) -> Document:
    """The report."""
    from cli.demo_money import percent, usd

    month = review.month_time.ToDatetime(UTC).strftime("%Y-%m")
    cost, before = review.cost_nanos, review.cost_before_nanos
    realised = sum(each.realised_nanos for each in review.outcomes)
    could = sum(each.month_nanos for each in review.opportunities)
    summary = (
        f"{usd(cost, 2)} for {review.request_count:,} requests ({usd(before, 2)} for"
        f" {review.request_before_count:,} the month before); changes since then saved"
        f" {usd(realised, 2)}, {usd(could, 2)} a month more could be saved."
    )
    facts = Facts(
        [
            ("Cost", usd(cost, 2)),
            ("The month before", usd(before, 2)),
            ("Change", percent(cost - before, before)),
            ("Requests", f"{review.request_count:,}"),
            ("Really saved by changes", usd(realised, 2)),
            ("Could be saved a month", usd(could, 2)),
        ]
    )
    parts: list[Part] = [
        facts,
        _changes(review.changes),
        _savings(review.savings),
        _outcomes(review.outcomes),
        _opportunities(review.opportunities),
        anatomy_bars(review.anatomy),
        Notes("Next", _next(review.opportunities)),
    ]
    return Document(f"Monthly LLM cost review, {tenant}, {month}", summary, parts)


def anatomy_bars(anatomy: Any) -> Bars:
    """Where the money went; what takes away has no bar."""
    from cli.demo_money import percent, usd

    return Bars(
        "Where the money went",
        [
            (
                part.name,
                max(0, part.nanos),
                f"{usd(part.nanos, 4)} ({percent(part.nanos, anatomy.cost_nanos)})",
            )
            for part in anatomy.parts
        ],
    )


def _changes(changes: Sequence[Any]) -> Table:
    from cli.demo_money import usd

    rows = [
        [
            each.feature or "(none)",
            usd(each.cost_nanos, 2),
            usd(each.cost_before_nanos, 2),
            usd(each.volume_nanos, 2),
            usd(each.rate_nanos, 2),
        ]
        for each in changes[:ROWS_MAX]
    ]
    headers = ["feature", "cost", "before", "by volume", "by cost of a request"]
    return Table("What changed, by feature", headers, rows, right=4, empty="nothing was booked")


def _savings(savings: Sequence[Any]) -> Table:
    from cli.demo_money import usd
    from cli.report_rows import cause_name

    rows = [
        [cause_name(each.cause), usd(each.saved_nanos, 2), usd(each.saved_before_nanos, 2)]
        for each in savings
    ]
    return Table("Saved by Spendgate", ["by", "this month", "before"], rows, right=2)


def _outcomes(outcomes: Sequence[Any]) -> Table:
    from cli.demo_money import usd
    from cli.opportunities import title_of

    rows = [
        [
            title_of(each.before),
            usd(each.expected_nanos, 2),
            usd(each.left_nanos, 2),
            usd(each.realised_nanos, 2),
        ]
        for each in outcomes[:ROWS_MAX]
    ]
    headers = ["last month's opportunity", "would be", "is", "really saved"]
    title = "What last month's changes really saved (a month, at this month's volume)"
    return Table(title, headers, rows, right=3, empty="there were none")


def _opportunities(found: Sequence[Any]) -> Table:
    from cli.opportunities import rows_of

    headers, rows = rows_of(found[:ROWS_MAX])
    return Table("What could be saved", headers, rows, right=2, empty="nothing was found")


def _next(found: Sequence[Any]) -> list[str]:
    from cli.demo_money import usd

    return [f"{each.setting} ({usd(each.month_nanos, 2)} a month)" for each in found[:3]]
