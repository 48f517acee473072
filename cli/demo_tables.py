"""The day's figures as a person reads them in a terminal. Pure: figures in, renderables out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.demo_figures import Books, Figures
from cli.demo_money import percent, usd

MILLION = 1_000_000
_CAUSES = {
    "cache": "answers that were paid for before",
    "routing": "a cheaper model that can do it",
    "compression": "shorter prompts",
}


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """A model of the demo. Prices are pico-USD per token; `version` names the price list."""

    model: str
    input_picos: int
    output_picos: int
    version: str


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """A budget of the demo, in words and nano-USD."""

    budget_id: str
    scope: str
    limit_nanos: int


@dataclass(frozen=True, slots=True)
class Setting:
    """What the demo runs on: said before anything is counted."""

    place: str
    upstream: str
    small_model: str
    strong_model: str
    prices: Sequence[ModelPrice]
    budgets: Sequence[BudgetPlan]
    worst_case_nanos: int | None = None


def _pairs() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _per_million(picos: int) -> str:
    """Pico-USD per token is micro-USD per million tokens: usd() wants nano."""
    return usd(picos * 1000, 3)


def opening(setting: Setting) -> RenderableType:
    """What runs where, whose answers they are, whose prices, and which limits apply."""
    table = _pairs()
    table.add_row("fleet", setting.place)
    if setting.small_model:
        table.add_row(
            "answers",
            f"by {setting.small_model}, a tiny model on this machine: the words are often wrong, "
            "the tokens, times and books are real",
        )
    else:
        table.add_row("answers", f"by the provider {setting.upstream!r}, billed to your account")
    table.add_row("prices", price_line(setting))
    table.add_row("compared", f"with every request sent to {setting.strong_model} and no cache")
    for budget in setting.budgets:
        text = f"{budget.scope}: {usd(budget.limit_nanos, 4)} a day ({budget.budget_id})"
        table.add_row("budget", text)
    if setting.worst_case_nanos is not None:
        table.add_row(
            "at worst",
            f"{usd(setting.worst_case_nanos, 4)} for the whole day at {setting.strong_model}",
        )
    return Group(Rule("Spendgate: a support chatbot's day", style="dim"), Padding(table, (0, 2)))


def price_line(setting: Setting) -> str:
    """Which prices the money in the output is counted with, models and lists named."""
    models = ", ".join(
        f"{price.model} {_per_million(price.input_picos)} in / "
        f"{_per_million(price.output_picos)} out"
        for price in setting.prices
    )
    versions = sorted({price.version for price in setting.prices})
    whose = "list prices per million tokens"
    if setting.small_model:
        whose += ", as if these models had answered"
    return f"{models} ({whose}; {'; '.join(versions)})"


def day_table(figures: Figures, setting: Setting) -> RenderableType:
    """The main table: requests, money, hits, refusals, latency, wrong hits."""
    total = figures.total
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    table.add_row(Text("requests", "bold"), f"{figures.requests:,}", _wall(figures))
    table.add_row("  called a provider", f"{figures.provider_calls:,}", "")
    table.add_row("  exact hits", f"{figures.hits_exact:,}", "the same question, served again")
    if figures.hits_shared:
        shared = "asked while the same question was under way: one call for all"
        table.add_row("  shared", f"{figures.hits_shared:,}", shared)
    for budget_id, count in figures.refused_by_budget.items():
        why = f"by the budget {budget_id}, before any provider was called"
        table.add_row(Text("  refused", "yellow"), f"{count:,}", why)
    for reason, count in figures.failed.items():
        table.add_row(Text("  failed", "red"), f"{count:,}", reason)
    table.add_row("", "", "")
    table.add_row(Text("spent", "bold"), usd(total.cost_nanos), _tokens(total))
    table.add_row(
        "without Spendgate",
        usd(total.counterfactual_nanos),
        f"the same answered requests, all by {setting.strong_model}, no cache",
    )
    table.add_row(
        Text("saved", "bold green"),
        Text(usd(total.saved_total_nanos), "bold green"),
        Text(percent(total.saved_total_nanos, total.counterfactual_nanos), "bold green"),
    )
    for cause, nanos in total.saved_nanos.items():
        share = percent(nanos, total.counterfactual_nanos)
        table.add_row(f"  by {cause}", usd(nanos), f"{share}  {_CAUSES.get(cause, '')}")
    table.add_row("", "", "")
    for kind, (p50, p95) in figures.latency_us.items():
        name = {"hit": "hits", "miss": "provider calls"}[kind]
        table.add_row(f"p50 / p95, {name}", f"{_ms(p50)} / {_ms(p95)} ms", _latency_note(kind))
    table.add_row(
        Text("wrong hits", "red" if figures.wrong_hits else "default"),
        f"{len(figures.wrong_hits)}",
        f"{figures.near_misses} near-misses tried: another number, date or a 'not'",
    )
    return Group(Rule("The day", style="dim"), Padding(table, (0, 2)), *_at_scale(figures))


def _at_scale(figures: Figures) -> list[RenderableType]:
    total = figures.total
    if not figures.answered:
        return []
    spent = total.cost_nanos * MILLION // figures.answered
    without = total.counterfactual_nanos * MILLION // figures.answered
    text = f"A million requests like these: {usd(spent, 2)} instead of {usd(without, 2)}."
    return [Padding(Text(text, style="bold"), (1, 2, 0, 2))]


def _wall(figures: Figures) -> str:
    return f"in {figures.wall_seconds} s"


def _tokens(books: Books) -> str:
    return f"{books.input_tokens:,} tokens in, {books.output_tokens:,} out"


def _latency_note(kind: str) -> str:
    return "as the caller saw it" if kind == "hit" else "the small machine shares its cores"


def _ms(microseconds: int) -> str:
    tenths = (microseconds + 50) // 100
    return f"{tenths // 10}.{tenths % 10}" if tenths < 1000 else f"{(microseconds + 500) // 1000:,}"


def report_table(title: str, rows: Sequence[Books], total: Books) -> RenderableType:
    """The ledger's report by one dimension, its sum below."""
    causes = [cause for cause in _CAUSES if any(row.saved_nanos.get(cause) for row in rows)]
    table = Table(
        box=None, padding=(0, 2), header_style="dim", show_footer=True, footer_style="bold"
    )
    table.add_column(title, "all", no_wrap=True)
    table.add_column("requests", f"{total.requests:,}", justify="right")
    table.add_column("hits", f"{total.hits:,}", justify="right")
    table.add_column("tokens", f"{total.input_tokens + total.output_tokens:,}", justify="right")
    table.add_column("spent", usd(total.cost_nanos), justify="right")
    for cause in causes:
        saved = usd(total.saved_nanos.get(cause, 0))
        table.add_column(f"saved by {cause}", saved, justify="right", style="green")
    table.add_column("without Spendgate", usd(total.counterfactual_nanos), justify="right")
    for row in rows:
        table.add_row(
            row.values[0] or "-",
            f"{row.requests:,}",
            f"{row.hits:,}",
            f"{row.input_tokens + row.output_tokens:,}",
            usd(row.cost_nanos),
            *(usd(row.saved_nanos.get(cause, 0)) for cause in causes),
            usd(row.counterfactual_nanos),
        )
    return table


def progress_words(counts: Mapping[str, int], spent_nanos: int) -> str:
    """The counters beside the progress bar."""
    return (
        f"hits {counts.get('hit', 0)} · misses {counts.get('miss', 0)} · "
        f"refused {counts.get('refused', 0)} · spent {usd(spent_nanos)}"
    )
