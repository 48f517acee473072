"""The day's figures as a person reads them in a terminal. Pure: figures in, renderables out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.demo_figures import Books, Figures
from cli.demo_money import percent, usd, usd_exact

MILLION = 1_000_000
_CAUSES = {
    "cache": "hits, at the price of the model that had answered",
    "routing": "the cheaper model in place of the strong one, hits included",
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
    feature: str
    limit_nanos: int

    @property
    def scope(self) -> str:
        """What it applies to, in words."""
        return f"feature {self.feature}" if self.feature else "the whole tenant"


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
    # Pico-USD for a token are micro-USD for a million.
    return usd_exact(picos * 1000)


def opening(setting: Setting) -> RenderableType:
    """What runs where, whose answers they are, whose prices, and which limits apply."""
    table = _pairs()
    table.add_row("fleet", setting.place)
    if setting.small_model:
        table.add_row(
            "answers",
            f"{setting.small_model}, a tiny model on this machine: its words are often wrong; "
            "tokens, times and books are real",
        )
    else:
        table.add_row("answers", f"the provider {setting.upstream}, billed to your account")
    table.add_row("prices", _price_table(setting))
    table.add_row("compared", f"with every request sent to {setting.strong_model} and no cache")
    for number, budget in enumerate(setting.budgets):
        limit = f"{usd(budget.limit_nanos, 4)} a day for {budget.scope}"
        table.add_row("" if number else "budgets", f"{budget.budget_id}: {limit}")
    if setting.worst_case_nanos is not None:
        worst = f"{usd(setting.worst_case_nanos, 4)}, had every answer its full length"
        table.add_row("at worst", f"{worst} and {setting.strong_model} written all of them")
    return Group(Rule("Spendgate: a support chatbot's day", style="dim"), Padding(table, (0, 2)))


def _price_table(setting: Setting) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for price in setting.prices:
        read, wrote = _per_million(price.input_picos), _per_million(price.output_picos)
        table.add_row(price.model, f"{read} in", f"{wrote} out")
    note = f"per million tokens, by {_lists(setting)}"
    note += ", as if these models had answered" if setting.small_model else ""
    return Group(table, Text(note, style="dim"))


def _lists(setting: Setting) -> str:
    """The price lists with their versions; which entry of them is told by --json."""
    return " and ".join(sorted({price.version.partition(" / ")[0] for price in setting.prices}))


def whose(setting: Setting) -> str:
    """Whose answers these were and whose prices, in a sentence."""
    who = f"{setting.small_model}'s" if setting.small_model else f"{setting.upstream}'s"
    models = " and ".join(price.model for price in setting.prices)
    return f"Answers are {who}; prices are those of {models} in {_lists(setting)}."


def day_table(figures: Figures, setting: Setting) -> RenderableType:
    """The main table: requests, money, hits, refusals, latency, wrong hits."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    _add_counts(table, figures)
    table.add_row("", "", "")
    _add_money(table, figures, setting)
    table.add_row("", "", "")
    for kind, (p50, p95) in figures.latency_us.items():
        name = {"hit": "p50, p95 of hits", "miss": "p50, p95 of calls"}[kind]
        table.add_row(name, f"{_ms(p50)}, {_ms(p95)} ms", _LATENCY_NOTES[kind])
    table.add_row(
        Text("wrong hits", "red" if figures.wrong_hits else ""),
        f"{len(figures.wrong_hits)}",
        f"in {figures.near_misses} near-misses: another number or date, a 'not'",
    )
    return Group(Rule("The day", style="dim"), Padding(table, (0, 2)), *_at_scale(figures))


_LATENCY_NOTES = {
    "hit": "as the caller saw it",
    "miss": "the model shares this machine's cores with the fleet",
}


def _add_counts(table: Table, figures: Figures) -> None:
    table.add_row(Text("requests", "bold"), f"{figures.requests:,}", _wall(figures))
    table.add_row("  provider calls", f"{figures.provider_calls:,}", "")
    table.add_row("  exact hits", f"{figures.hits_exact:,}", "the same question, served again")
    if figures.hits_shared:
        note = "asked while it was under way: one call for all"
        table.add_row("  shared", f"{figures.hits_shared:,}", note)
    for budget_id, count in figures.refused_by_budget.items():
        note = f"by the budget {budget_id}, before any provider call"
        table.add_row(Text("  refused", "yellow"), f"{count:,}", note)
    for reason, count in figures.failed.items():
        table.add_row(Text("  failed", "red"), f"{count:,}", reason)


def _add_money(table: Table, figures: Figures, setting: Setting) -> None:
    total = figures.total
    table.add_row(Text("spent", "bold"), usd(total.cost_nanos), _tokens(total))
    table.add_row(
        "without Spendgate",
        usd(total.counterfactual_nanos),
        f"the same answers, all by {setting.strong_model}, no cache",
    )
    table.add_row(
        Text("saved", "bold green"),
        Text(usd(total.saved_total_nanos), "bold green"),
        Text(percent(total.saved_total_nanos, total.counterfactual_nanos), "bold green"),
    )
    for cause, nanos in total.saved_nanos.items():
        share = percent(nanos, total.counterfactual_nanos)
        table.add_row(f"  by {cause}", usd(nanos), f"{share}: {_CAUSES.get(cause, cause)}")


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


def _ms(microseconds: int) -> str:
    tenths = (microseconds + 50) // 100
    return f"{tenths // 10}.{tenths % 10}" if tenths < 1000 else f"{(microseconds + 500) // 1000:,}"


def report_table(
    title: str, rows: Sequence[Books], total: Books, *, gap: int = 2
) -> RenderableType:
    """The ledger's report by one dimension, its sum below; `gap` spaces between the columns."""
    causes = [cause for cause in _CAUSES if any(row.saved_nanos.get(cause) for row in rows)]
    table = Table(
        box=None,
        padding=(0, 0, 0, gap),
        header_style="dim",
        show_footer=True,
        footer_style="bold",
    )
    table.add_column(title, "all", overflow="fold")

    def number(header: str, footer: str, style: str = "") -> None:
        table.add_column(header, footer, justify="right", no_wrap=True, style=style)

    number("requests", f"{total.requests:,}")
    number("hits", f"{total.hits:,}")
    number("tokens", f"{total.input_tokens + total.output_tokens:,}")
    number("spent", usd(total.cost_nanos))
    for cause in causes:
        number(f"+ {cause}", usd(total.saved_nanos.get(cause, 0)), "green")
    number("= without", usd(total.counterfactual_nanos))
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
        f"refused {counts.get('refused', 0)} · {usd(spent_nanos)}"
    )
