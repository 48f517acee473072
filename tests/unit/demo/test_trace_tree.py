"""A trace as a tree: every step once, at its place, with its bar and its cost."""

import dataclasses
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from chassis import names
from cli.trace_tree import TraceSpan, bar_cells, remarks, render, steps, sums, totals, waterfall

MS = 1_000_000


def span(span_id: str, parent: str, start: int, end: int, **more: object) -> TraceSpan:
    attributes = more.pop("attributes", {})
    return TraceSpan(
        span_id,
        parent,
        str(more.pop("name", span_id)),
        str(more.pop("service", "gateway")),
        start * MS,
        end * MS,
        attributes,  # type: ignore[arg-type]
        bool(more.pop("failed", False)),
    )


TRACE = [
    span("settle", "root", 80, 90, service="ledger", attributes={names.COST_NANO_USD: 13_500}),
    span(
        "root", "", 0, 100,
        attributes={names.COST_NANO_USD: 13_500, names.SAVED_NANO_USD: 200_000},
    ),
    span("call", "root", 20, 80, attributes={
        names.GEN_AI_INPUT_TOKENS: 60, names.GEN_AI_OUTPUT_TOKENS: 12,
    }),
    span("lookup", "root", 2, 10, service="cache", attributes={names.CACHE_OUTCOME: "MISS"}),
    span("redis", "lookup", 3, 9, service="cache"),
]  # fmt: skip


def shown(spans: list[TraceSpan], width: int = 140) -> str:
    out = io.StringIO()
    Console(width=width, color_system=None, file=out).print(render(spans, width=width))
    return out.getvalue()


def test_steps_come_in_reading_order() -> None:
    """Parents before children, siblings by start, with the lines of a tree."""
    assert [(step.guide, step.span.name) for step in steps(TRACE)] == [
        ("", "root"),
        ("├─ ", "lookup"),
        ("│  └─ ", "redis"),
        ("├─ ", "call"),
        ("└─ ", "settle"),
    ]


def test_a_span_without_its_parent_is_still_shown() -> None:
    """A lost parent hides nothing: the step stands as a root."""
    assert [step.span.span_id for step in steps([span("a", "gone", 0, 1)])] == ["a"]


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 50)),
        max_size=9,
        unique_by=lambda item: item[0],
    )
)
def test_every_span_is_shown_once(items: list[tuple[int, int, int]]) -> None:
    """Also when parents run in a circle or are missing."""
    spans = [span(str(own), str(parent), start, start + 5) for own, parent, start in items]
    assert sorted(step.span.span_id for step in steps(spans)) == sorted(s.span_id for s in spans)


@pytest.mark.parametrize(
    ("start", "end", "bar"),
    [
        (0, 100, "████████"),
        (50, 100, "    ████"),
        (25, 50, "  ██    "),
        (0, 0, "▏       "),
        (100, 100, "       ▏"),
        (-20, 300, "████████"),
    ],
)
def test_the_bar_lies_where_the_step_was(start: int, end: int, bar: str) -> None:
    """To scale, never empty, never outside of its cells, whatever the clocks said."""
    assert waterfall(span("a", "", start, end), 0, 100 * MS, 8) == bar


@given(st.integers(-50, 200), st.integers(0, 200), st.integers(1, 40))
def test_a_bar_has_its_width(start: int, length: int, cells: int) -> None:
    """Every bar takes exactly the cells it was given."""
    bar = waterfall(span("a", "", start, start + length), 0, 100 * MS, cells)
    assert len(bar) == cells
    assert bar.strip()


def test_the_root_tells_the_sums() -> None:
    """Charged and saved are what the root says, not a sum of copies."""
    assert totals(TRACE) == (13_500, 200_000)
    assert totals([span("a", "", 0, 1)]) is None


def test_the_tree_shows_cost_service_time_and_outcome() -> None:
    """A reader finds each step's service, time, exact cost and what it found."""
    text = shown(TRACE)
    by_name = {
        name: line
        for line in text.splitlines()
        for name in ("root", "lookup", "call", "settle")
        if f" {name} " in f" {line} "
    }
    assert "$0.0000135" in by_name["root"]
    assert "$0.0000135" in by_name["settle"]
    assert "ledger" in by_name["settle"]
    assert by_name["lookup"].split()[-1] == "miss"
    assert "read 60 tokens, wrote 12" in by_name["call"]
    assert "60.0" in by_name["call"]


def test_under_the_tree_are_its_sums() -> None:
    """Steps and time, money with its causes, tokens, the tightest budget: as the root says."""
    root = span("root", "", 0, 100, attributes={
        names.COST_NANO_USD: 13_500, names.SAVED_NANO_USD: 200_000,
        f"{names.COST_NANO_USD}.system": 3_500, f"{names.COST_NANO_USD}.output": 10_000,
        f"{names.SAVED_NANO_USD}.routing": 200_000, names.ANSWER_SOURCE: "PROVIDER",
        names.GEN_AI_INPUT_TOKENS: 60, names.GEN_AI_CACHED_TOKENS: 40,
        names.GEN_AI_OUTPUT_TOKENS: 12, names.TOKENS_SYSTEM: 50, names.TOKENS_NEW: 8,
        names.BUDGET_ID: "shop", names.BUDGET_LEFT_NANO_USD: 10**9,
    })  # fmt: skip
    assert sums([root, span("child", "root", 1, 2, service="cache")]) == [
        "2 steps in 2 services, 100.0 ms",
        "charged $0.0000135 · saved $0.0002 ($0.0002 by routing)",
        "made of: $0.0000035 system + $0.00001 output",
        "read 60 tokens (40 of them cached by the provider), wrote 12"
        " · prompt: 50 system + 8 new tokens",
        "budget shop: $1.00 left",
    ]


def test_a_hit_says_that_its_tokens_were_paid_for_before() -> None:
    """The tokens of a hit are the paid answer's, not new ones."""
    hit = span("root", "", 0, 9, attributes={
        names.COST_NANO_USD: 0, names.SAVED_NANO_USD: 7, names.ANSWER_SOURCE: "CACHE_EXACT",
        names.GEN_AI_INPUT_TOKENS: 60, names.GEN_AI_OUTPUT_TOKENS: 12,
    })  # fmt: skip
    assert remarks(hit) == "served from the cache"
    assert "when it was paid for: read 60 tokens, wrote 12" in sums([hit])


def test_a_failed_step_says_why() -> None:
    """The kind of the failure is the first remark."""
    failed = span("a", "", 0, 1, failed=True, attributes={names.ERROR_TYPE: "BUDGET_EXCEEDED"})
    assert remarks(failed).startswith("failed: BUDGET_EXCEEDED")


def test_no_spans_is_said() -> None:
    """An empty trace is not an empty screen."""
    assert "no spans" in shown([])


@pytest.mark.parametrize("cost", [1.5, True, "7"])
def test_money_that_is_no_whole_number_is_not_money(cost: float | bool | str) -> None:
    """A float, a flag or a text under the cost's name is not shown as dollars."""
    odd = dataclasses.replace(TRACE[0], attributes={names.COST_NANO_USD: cost}, parent_id="")
    assert "$" not in shown([odd])


def test_a_narrow_terminal_keeps_a_bar() -> None:
    """The waterfall shrinks but stays."""
    assert bar_cells(60) == 8
    assert bar_cells(400) == 28
