"""A month from what was really used: a provider's export, or the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.calculator.given import PriceList
from cli.calculator.workload import Prices, Row
from cli.problems import EXIT_USAGE, Problem

DAYS_OF_A_MONTH = 30


@dataclass(frozen=True, slots=True)
class Month:
    """Rows, what was paid (None: not told), how much of what is sent again was cached: all of it
    or nothing, as the tokens tell; and what was taken for granted."""

    rows: tuple[Row, ...]
    spend_nanos: int | None
    provider_caches: bool
    notes: tuple[str, ...]


def from_files(files: list[Path], provider: str, prices: PriceList, turns: int) -> Month:
    """A month of 30 days from an export of any number of days. Raises Problem."""
    from cli.ledger_reconcile import read_files

    lines = read_files(files, provider, provider)
    days = len({line.day for line in lines})
    usage: dict[str, dict[str, int]] = {}
    spent = sum(line.cost_nanos for line in lines if line.HasField("cost_nanos"))
    for line in lines:
        if line.HasField("usage"):
            sums = usage.setdefault(line.model, dict.fromkeys(_SUMS, 0))
            sums["requests"] += line.request_count
            _add(sums, line.usage)
    if not usage:
        raise Problem(
            "the files tell no tokens", "give the usage export too, not only costs", code=EXIT_USAGE
        )
    rows = tuple(
        _row(model, sums, prices.prices(f"{provider}/{model}"), turns, days)
        for model, sums in sorted(usage.items())
    )
    told = f"{days} days in the export, taken to {DAYS_OF_A_MONTH}"
    money = "costs are the provider's" if spent else "costs are at list price"
    cached = any(sums["cached"] for sums in usage.values())
    month = _month(spent, days) if spent else None
    return Month(rows, month, cached, (told, money, _CACHED_NOTE))


def from_breakdown(response: Any, prices: PriceList, days: int) -> Month:
    """A month of 30 days from the ledger's sums of `days` by model. Raises Problem.

    What the cache served already is in no row: only what still costs can be saved.
    """
    rows, spent = [], 0
    for row in response.rows:
        sums, cost = row.sums, int(row.sums.cost_nanos)
        if cost <= 0:
            continue
        spent += cost
        name = sums.values[0]
        counts = {
            "requests": max(0, sums.request_count - sums.hit_count),
            "new": sums.input_tokens,
            "cached": 0,
            "output": sums.output_tokens,
        }
        rows.append(_row(name, counts, prices.prices(name), 1, days))
    if not rows:
        raise Problem("the ledger has booked no cost in that time", "see: spendgate report")
    note = "the ledger's sums do not tell history from new tokens: fitting it is not reckoned"
    taken = f"{days} days of the ledger, taken to {DAYS_OF_A_MONTH}"
    return Month(tuple(rows), _month(spent, days), False, (taken, note))


_SUMS = ("requests", "new", "cached", "output")
_CACHED_NOTE = (
    "cached tokens were sent before: history when there is more than one turn, else instructions;"
    " the rest counts as new"
)


def _add(sums: dict[str, int], usage: Any) -> None:
    sums["new"] += usage.input_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    sums["new"] += usage.audio_input_tokens
    sums["cached"] += usage.cached_input_tokens
    sums["output"] += usage.output_tokens + usage.audio_output_tokens


def _row(name: str, sums: Mapping[str, int], prices: Prices, turns: int, days: int) -> Row:
    month = {key: _month(sums[key], days) for key in _SUMS}
    return Row(
        name=name,
        requests=month["requests"],
        instruction_tokens=month["cached"] if turns == 1 else 0,
        history_half_tokens=0 if turns == 1 else 2 * month["cached"],
        new_tokens=month["new"],
        output_tokens=month["output"],
        prices=prices,
    )


def _month(amount: int, days: int) -> int:
    """To 30 days, rounded half up."""
    return (2 * amount * DAYS_OF_A_MONTH + days) // (2 * days)
