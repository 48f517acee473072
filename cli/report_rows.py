"""The rows of a report: as cells for people, as CSV and JSON Lines for programs."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any

NANOS_PER_USD = 10**9


def causes_of(response: Any) -> list[int]:
    """What saved anything in a breakdown."""
    rows = (*response.rows, response.total)
    return sorted({saving.cause for row in rows for saving in row.sums.savings})


def headers(causes: Sequence[int]) -> list[str]:
    """The titles of `cells`."""
    titles = ["requests", "hits", "errors", "tokens in", "tokens out", "spent"]
    titles += [f"saved by {cause_name(cause)}" for cause in causes]
    return [*titles, "without Spendgate", "mean ms", "p50 ms", "p99 ms"]


def cells(row: Any, causes: Sequence[int]) -> list[str]:
    """A group as people read it: "-" where a latency is not known."""
    from cli.demo_money import percent, usd

    sums = row.sums
    saved = {saving.cause: int(saving.saved_nanos) for saving in sums.savings}
    return [
        f"{sums.request_count:,}",
        percent(sums.hit_count, sums.request_count),
        percent(sums.error_count, sums.request_count),
        f"{sums.input_tokens:,}",
        f"{sums.output_tokens:,}",
        usd(int(sums.cost_nanos)),
        *(usd(saved.get(cause, 0)) for cause in causes),
        usd(int(sums.counterfactual_nanos)),
        f"{sums.latency_mean_ms:,}",
        latency(row, "latency_p50_ms"),
        latency(row, "latency_p99_ms"),
    ]


def latency(row: Any, field: str) -> str:
    """A percentile, "-" where it is not known."""
    return f"{getattr(row, field):,}" if row.HasField(field) else "-"


def cause_name(cause: int) -> str:
    """ "cache" for SAVING_CAUSE_CACHE."""
    from spendgate.ledger.v1 import entry_pb2

    return (
        str(entry_pb2.SavingCause.Name(entry_pb2.SavingCause.ValueType(cause)))
        .removeprefix("SAVING_CAUSE_")
        .lower()
    )


def record(names: Sequence[str], row: Any) -> dict[str, Any]:
    """A group as one flat record. Money is decimal text in USD, exact."""
    from spendgate.ledger.v1 import entry_pb2

    from catalog.money import usd_text

    sums = row.sums
    saved = {saving.cause: int(saving.saved_nanos) for saving in sums.savings}
    plain = {
        "requests": sums.request_count,
        "cache_hits": sums.hit_count,
        "errors": sums.error_count,
        "attempts": sums.attempt_count,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "cost_usd": usd_text(int(sums.cost_nanos)).replace(",", ""),
        "counterfactual_usd": usd_text(int(sums.counterfactual_nanos)).replace(",", ""),
    }
    for cause in entry_pb2.SavingCause.values()[1:]:
        usd = usd_text(saved.get(cause, 0)).replace(",", "")
        plain[f"saved_{cause_name(cause)}_usd"] = usd
    plain["latency_mean_ms"] = sums.latency_mean_ms
    for percent in (50, 90, 99):
        field = f"latency_p{percent}_ms"
        plain[field] = getattr(row, field) if row.HasField(field) else None
    return {**dict(zip(names, sums.values, strict=True)), **plain}


def print_rows(names: Sequence[str], response: Any, form: str) -> None:
    """All groups on standard output, as CSV with a header or as JSON Lines."""
    records = [record(names, row) for row in response.rows]
    if form == "jsonl":
        for each in records:
            print(json.dumps(each, ensure_ascii=False))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(record(names, response.rows[0]) if records else names)
    for each in records:
        writer.writerow([safe_cell(value) for value in each.values()])


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        try:
            float(value)
        except ValueError:
            return f"'{value}"
    return "" if value is None else value
