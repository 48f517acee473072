"""What the demo prints at its end: the day, two traces of one question, the ledger's report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from cli.demo_figures import Figures, day_json
from cli.demo_outcome import Outcome, Source
from cli.demo_tables import Setting, day_table, report_table, whose
from cli.trace_tree import TraceSpan, render, steps

TITLE_CHARS_MAX = 60
WIDE_COLUMNS_MIN = 90


@dataclass(frozen=True, slots=True)
class ShownTrace:
    """A request's trace and what to call it."""

    outcome: Outcome
    spans: Sequence[TraceSpan]


def pick_traces(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The question that came back most often: its paid answer, and its last hit.

    Only the first when nothing was served again; none when nothing was answered.
    """
    paid = [o for o in outcomes if o.source is Source.PROVIDER and o.trace_id]
    if not paid:
        return []
    hits = [o for o in outcomes if o.source is Source.CACHE_EXACT and o.trace_id]

    def asked_again(outcome: Outcome) -> int:
        return sum(hit.row.group == outcome.row.group for hit in hits)

    best = max(paid, key=asked_again)
    again = [hit for hit in hits if hit.row.group == best.row.group]
    return [best, *again[-1:]]


def print_day(
    console: Console, figures: Figures, setting: Setting, traces: Sequence[ShownTrace]
) -> None:
    """Everything a person wants to see of the finished day."""
    console.print()
    console.print(day_table(figures, setting))
    for number, shown in enumerate(traces):
        row = shown.outcome.row
        question = " ".join(row.text.split())[:TITLE_CHARS_MAX]
        title = f"One request, {row.id}: “{question}”" if number == 0 else "The same, asked again"
        console.print()
        console.print(Rule(f"{title} at {row.time}", style="dim"))
        tree = render(shown.spans, width=console.width - 4)
        console.print(Padding(tree, (0, 2)))
    console.print()
    console.print(Rule("The ledger's report", style="dim"))
    for title, rows in (("feature", figures.by_feature), ("model", figures.by_model)):
        gap = 2 if console.width >= WIDE_COLUMNS_MIN else 1
        table = report_table(title, rows, figures.total, gap=gap)
        console.print(Padding(table, (0, 0, 1, 2 - gap)))
    note = "spent, and what each cause saved, make up what it had cost without Spendgate"
    console.print(Padding(Text(note, style="dim"), (0, 2)))
    console.print()
    console.print(closing(figures, setting))


def closing(figures: Figures, setting: Setting) -> Text:
    """Whether it all holds, and once more whose answers and whose prices these were."""
    text = Text()
    for problem in figures.problems:
        text.append(f"✗ {problem}\n", style="bold red")
    if figures.books_balance:
        text.append("✓ ", style="green")
        text.append("the books balance to the nano-dollar: spent + saved = without Spendgate\n")
    if not figures.wrong_hits:
        text.append("✓ ", style="green")
        text.append("no question was served another question's answer\n")
    if figures.surprises:
        ended = ", ".join(figures.surprises)
        text.append(f"· ended otherwise than the day's author foresaw: {ended}\n", style="yellow")
    text.append(whose(setting), style="dim")
    return text


def demo_json(figures: Figures, setting: Setting, traces: Sequence[ShownTrace]) -> dict[str, Any]:
    """The same as one JSON object."""
    return {
        "upstream": setting.upstream,
        "answers_by": setting.small_model or setting.upstream,
        "strong_model": setting.strong_model,
        "prices": [
            {
                "model": price.model,
                "input_picos": price.input_picos,
                "output_picos": price.output_picos,
                "price_version": price.version,
            }
            for price in setting.prices
        ],
        "budgets": [
            {"id": b.budget_id, "feature": b.feature, "limit_nanos": b.limit_nanos}
            for b in setting.budgets
        ],
        **day_json(figures),
        "traces": [_trace_json(shown) for shown in traces],
    }


def _trace_json(shown: ShownTrace) -> dict[str, Any]:
    return {
        "row": shown.outcome.row.id,
        "trace_id": shown.outcome.trace_id,
        "steps": [
            {
                "name": step.span.name,
                "service": step.span.service,
                "depth": step.depth,
                "duration_us": (step.span.end_ns - step.span.start_ns) // 1000,
                "attributes": dict(step.span.attributes),
            }
            for step in steps(shown.spans)
        ],
    }
