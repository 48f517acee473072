"""One request's trace as a tree in the terminal: when each step ran, and what it cost.

Pure: spans in, something rich can print out. Where they come from is the caller's business.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chassis import names
from cli.demo_money import usd_exact

Value = str | int | float | bool

BAR_CELLS_MIN = 8
BAR_CELLS_MAX = 28
DEPTH_MAX = 32
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """One step of a trace. Times are nanoseconds since 1970; `parent_id` is "" for a root."""

    span_id: str
    parent_id: str
    name: str
    service: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A span at its place: `guide` holds the lines that lead to it."""

    span: TraceSpan
    guide: str
    depth: int


def steps(spans: Sequence[TraceSpan]) -> list[Step]:
    """The spans in the order a reader meets them: parents first, siblings by start.

    A span whose parent is missing stands as a root, so that nothing is ever hidden; every span
    comes exactly once, also when parents run in a circle.
    """
    known = {span.span_id for span in spans}
    children: dict[str, list[TraceSpan]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, span.end_ns, span.span_id)):
        parent = span.parent_id if span.parent_id in known else ""
        children.setdefault(parent, []).append(span)
    seen: set[str] = set()
    found = list(_walk(children, "", "", 0, seen))
    lost = [span for span in spans if span.span_id not in seen]
    return found + [Step(span, "", 0) for span in lost]


def _walk(
    children: Mapping[str, list[TraceSpan]], parent: str, stem: str, depth: int, seen: set[str]
) -> Iterator[Step]:
    siblings = [span for span in children.get(parent, []) if span.span_id not in seen]
    if depth > DEPTH_MAX:
        return
    for position, span in enumerate(siblings):
        seen.add(span.span_id)
        last = position == len(siblings) - 1
        guide = "" if depth == 0 else stem + ("└─ " if last else "├─ ")
        yield Step(span, guide, depth)
        below = "" if depth == 0 else stem + ("   " if last else "│  ")
        yield from _walk(children, span.span_id, below, depth + 1, seen)


def waterfall(span: TraceSpan, start_ns: int, end_ns: int, cells: int) -> str:
    """A bar of `cells` characters: where `span` lies between `start_ns` and `end_ns`.

    Never empty: the shortest step shows as the thinnest stroke.
    """
    whole = max(1, end_ns - start_ns)
    begin = min(max(span.start_ns - start_ns, 0), whole)
    end = min(max(span.end_ns - start_ns, begin), whole)
    first = min(begin * cells // whole, cells - 1)
    eighths = max(1, ((end - begin) * cells * 8 + whole // 2) // whole)
    full, rest = divmod(min(eighths, (cells - first) * 8), 8)
    bar = " " * first + "█" * full + (_EIGHTHS[rest] if rest else "")
    return bar.ljust(cells)


def milliseconds(nanoseconds: int) -> str:
    """Milliseconds with as many decimals as tell something."""
    tenths = (nanoseconds + 50_000) // 100_000
    if tenths >= 10_000:
        return f"{(nanoseconds + 500_000) // 1_000_000:,}"
    return f"{tenths // 10}.{tenths % 10}"


def _tokens(attributes: Mapping[str, Value]) -> str:
    words = [
        f"{attributes[name]} {word}"
        for name, word in (
            (names.GEN_AI_INPUT_TOKENS, "in"),
            (names.GEN_AI_CACHED_TOKENS, "cached"),
            (names.GEN_AI_OUTPUT_TOKENS, "out"),
            (names.GEN_AI_REASONING_TOKENS, "reasoning"),
        )
        if attributes.get(name)
    ]
    return f"tokens {', '.join(words)}" if words else ""


def _anatomy(attributes: Mapping[str, Value]) -> str:
    words = [
        f"{word} {attributes[name]}"
        for name, word in (
            (names.TOKENS_SYSTEM, "system"),
            (names.TOKENS_TOOLS, "tools"),
            (names.TOKENS_HISTORY, "history"),
            (names.TOKENS_NEW, "new"),
        )
        if attributes.get(name)
    ]
    return f"prompt {', '.join(words)}" if words else ""


def _money(attributes: Mapping[str, Value], name: str) -> str:
    value = attributes.get(name)
    return usd_exact(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def remarks(span: TraceSpan) -> str:
    """What a span says of itself, in a few words."""
    attributes = span.attributes
    plain = (
        (names.CACHE_OUTCOME, "cache "),
        (names.ANSWER_SOURCE, "from "),
        (names.ROUTE_REASON, ""),
        (names.GEN_AI_RESPONSE_MODEL, ""),
        (names.BUDGET_ID, "budget "),
    )
    words = [
        f"{label}{str(attributes[name]).lower().replace('_', ' ')}"
        if name != names.BUDGET_ID
        else f"{label}{attributes[name]}"
        for name, label in plain
        if attributes.get(name)
    ]
    for name, label in (
        (names.ROUTE_WORST_CASE_NANO_USD, "worst case"),
        (names.HELD_NANO_USD, "held"),
        (names.BUDGET_LEFT_NANO_USD, "left"),
        (names.SAVED_NANO_USD, "saved"),
    ):
        if amount := _money(attributes, name):
            words.append(f"{label} {amount}")
    words += [part for part in (_anatomy(attributes), _tokens(attributes)) if part]
    if attributes.get(names.ATTEMPT_NUMBER, 1) != 1:
        words.append(f"attempt {attributes[names.ATTEMPT_NUMBER]}")
    if span.failed:
        words.insert(0, f"failed: {attributes.get(names.ERROR_TYPE, 'unknown')}")
    return " · ".join(words)


def totals(spans: Sequence[TraceSpan]) -> tuple[int, int] | None:
    """What the root says was charged and saved, in nano-USD; None when it says nothing."""
    for step in steps(spans):
        cost = step.span.attributes.get(names.COST_NANO_USD)
        if step.depth == 0 and isinstance(cost, int):
            saved = step.span.attributes.get(names.SAVED_NANO_USD)
            return cost, saved if isinstance(saved, int) else 0
    return None


def bar_cells(width: int) -> int:
    """How much of a terminal's `width` the waterfall gets."""
    return max(BAR_CELLS_MIN, min(BAR_CELLS_MAX, (width - 80) // 2))


def render(spans: Sequence[TraceSpan], *, width: int = 120) -> RenderableType:
    """The trace as a table of steps with a waterfall and, under it, its sums."""
    if not spans:
        return Text("no spans were kept for this trace", style="yellow")
    start = min(span.start_ns for span in spans)
    end = max(span.end_ns for span in spans)
    cells = bar_cells(width)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("step", no_wrap=True, overflow="ellipsis")
    table.add_column("service", style="cyan", no_wrap=True)
    table.add_column("when", no_wrap=True, width=cells)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("cost", justify="right", style="green", no_wrap=True)
    table.add_column("what", style="dim", overflow="fold")
    for step in steps(spans):
        span = step.span
        name = Text(step.guide, style="dim")
        name.append(span.name, style="bold red" if span.failed else "bold")
        bar = Text(waterfall(span, start, end, cells), style="red" if span.failed else "blue")
        table.add_row(
            name,
            span.service,
            bar,
            milliseconds(span.end_ns - span.start_ns),
            _money(span.attributes, names.COST_NANO_USD),
            remarks(span),
        )
    sums = totals(spans)
    services = len({span.service for span in spans})
    line = f"{len(spans)} steps in {services} services, {milliseconds(end - start)} ms"
    if sums is not None:
        line += f"; charged {usd_exact(sums[0])}, saved {usd_exact(sums[1])}"
    return Group(table, Text(line, style="dim"))
