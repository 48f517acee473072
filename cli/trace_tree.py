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
# Below this a terminal has no room for the services' names: steps are named after them anyway.
WIDE_COLUMNS_MIN = 100
WHAT_COLUMNS_MIN = 18
SERVICE_PREFIX = "spendgate-"
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


def _int(attributes: Mapping[str, Value], name: str) -> int | None:
    value = attributes.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _money(attributes: Mapping[str, Value], name: str) -> str:
    nanos = _int(attributes, name)
    return "" if nanos is None else usd_exact(nanos)


def _words(attributes: Mapping[str, Value], name: str) -> str:
    """ "cheapest capable" for CHEAPEST_CAPABLE."""
    return str(attributes.get(name, "")).lower().replace("_", " ")


def _usage(attributes: Mapping[str, Value]) -> str:
    read = _int(attributes, names.GEN_AI_INPUT_TOKENS)
    wrote = _int(attributes, names.GEN_AI_OUTPUT_TOKENS)
    if read is None or wrote is None:
        return ""
    cached = _int(attributes, names.GEN_AI_CACHED_TOKENS)
    reasoned = _int(attributes, names.GEN_AI_REASONING_TOKENS)
    text = f"read {read:,} tokens"
    text += f" ({cached:,} of them cached by the provider)" if cached else ""
    text += f", wrote {wrote:,}"
    return text + (f" ({reasoned:,} of them reasoning)" if reasoned else "")


def _anatomy(attributes: Mapping[str, Value]) -> str:
    parts = (
        (names.TOKENS_SYSTEM, "system"),
        (names.TOKENS_TOOLS, "tools"),
        (names.TOKENS_HISTORY, "history"),
        (names.TOKENS_NEW, "new"),
    )
    return " + ".join(f"{attributes[name]} {word}" for name, word in parts if attributes.get(name))


def _made_of(attributes: Mapping[str, Value]) -> str:
    """The charge by part, as the root has it; nothing where it is all one part."""
    parts = [
        f"{nanos} {part}"
        for part in ("system", "tools", "history", "new", "output", "reasoning", "retries")
        if (nanos := _money(attributes, f"{names.COST_NANO_USD}.{part}"))
    ]
    return " + ".join(parts) if len(parts) > 1 else ""


_SOURCES = {
    "PROVIDER": "answered by {model}",
    "CACHE_EXACT": "served from the cache",
    "CACHE_SEMANTIC": "served from the cache, asked in other words",
    "SHARED": "shared with a call under way",
}


def remarks(span: TraceSpan) -> str:
    """What a span says of itself, in a few words."""
    told = span.attributes
    words = [f"failed: {told.get(names.ERROR_TYPE, 'unknown')}"] if span.failed else []
    if names.ANSWER_SOURCE in told:
        source = str(told[names.ANSWER_SOURCE])
        model = told.get(names.GEN_AI_RESPONSE_MODEL, "")
        return " · ".join([*words, _SOURCES.get(source, source.lower()).format(model=model)])
    if names.CACHE_OUTCOME in told:
        words.append(_words(told, names.CACHE_OUTCOME))
    if names.ROUTE_REASON in told:
        model = told.get(names.GEN_AI_REQUEST_MODEL, "")
        words.append(f"{model}: {_words(told, names.ROUTE_REASON)}")
    if worst := _money(told, names.ROUTE_WORST_CASE_NANO_USD):
        words.append(f"at worst {worst}")
    if (anatomy := _anatomy(told)) and names.GEN_AI_OUTPUT_TOKENS not in told:
        words.append(f"{anatomy} tokens")
    if usage := _usage(told):
        words.append(usage)
    if saved := _money(told, names.SAVED_NANO_USD):
        words.append(f"saved {saved}")
    elif held := _money(told, names.HELD_NANO_USD):
        words.append(f"held {held}")
    if (attempt := _int(told, names.ATTEMPT_NUMBER) or 1) > 1:
        words.append(f"attempt {attempt}")
    return " · ".join(words)


def totals(spans: Sequence[TraceSpan]) -> tuple[int, int] | None:
    """What the root says was charged and saved, in nano-USD; None when it says nothing."""
    root = _root(spans)
    cost = _int(root.attributes, names.COST_NANO_USD) if root else None
    if root is None or cost is None:
        return None
    return cost, _int(root.attributes, names.SAVED_NANO_USD) or 0


def _root(spans: Sequence[TraceSpan]) -> TraceSpan | None:
    roots = [step.span for step in steps(spans) if step.depth == 0]
    return next((span for span in roots if names.COST_NANO_USD in span.attributes), None)


def sums(spans: Sequence[TraceSpan]) -> list[str]:
    """The lines under a tree: time, money, tokens, budget; each only as far as it is known."""
    start, end = _extent(spans)
    services = len({span.service for span in spans})
    took = f"{len(spans)} steps in {services} services, {milliseconds(end - start)} ms"
    lines = [took]
    root, money = _root(spans), totals(spans)
    if root is None or money is None:
        return lines
    told = root.attributes
    causes = [
        f"{usd_exact(nanos)} by {name.rpartition('.')[2]}"
        for name in sorted(told)
        if name.startswith(f"{names.SAVED_NANO_USD}.") and (nanos := _int(told, name))
    ]
    saved = f" ({', '.join(causes)})" if causes else ""
    lines.append(f"charged {usd_exact(money[0])} · saved {usd_exact(money[1])}{saved}")
    if made := _made_of(told):
        lines.append(f"made of: {made}")
    prompt = f"prompt: {_anatomy(told)} tokens" if _anatomy(told) else ""
    usage = _usage(told)
    if usage and told.get(names.ANSWER_SOURCE) not in (None, "PROVIDER"):
        usage = f"when it was paid for: {usage}"
    lines.append(" · ".join(filter(None, [usage, prompt])))
    if names.BUDGET_ID in told and (left := _money(told, names.BUDGET_LEFT_NANO_USD)):
        lines.append(f"budget {told[names.BUDGET_ID]}: {left} left")
    return [line for line in lines if line]


def _extent(spans: Sequence[TraceSpan]) -> tuple[int, int]:
    return min(span.start_ns for span in spans), max(span.end_ns for span in spans)


def bar_cells(width: int) -> int:
    """How much of a terminal's `width` the waterfall gets."""
    return max(BAR_CELLS_MIN, min(BAR_CELLS_MAX, (width - 66) // 2))


def render(spans: Sequence[TraceSpan], *, width: int = 120) -> RenderableType:
    """The trace as a table of steps with a waterfall and, under it, its sums."""
    if not spans:
        return Text("no spans were kept for this trace", style="yellow")
    start, end = _extent(spans)
    cells = bar_cells(width)
    wide = width >= WIDE_COLUMNS_MIN
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("step", no_wrap=True, overflow="ellipsis")
    if wide:
        table.add_column("service", style="cyan", no_wrap=True)
    table.add_column("when", no_wrap=True, width=cells)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("cost", justify="right", style="green", no_wrap=True)
    table.add_column("what", style="dim", min_width=WHAT_COLUMNS_MIN)
    for step in steps(spans):
        span = step.span
        name = Text(step.guide, style="dim")
        name.append(span.name, style="bold red" if span.failed else "bold")
        bar = Text(waterfall(span, start, end, cells), style="red" if span.failed else "blue")
        cost = _money(span.attributes, names.COST_NANO_USD)
        cells_of = [name, span.service.removeprefix(SERVICE_PREFIX)] if wide else [name]
        took = milliseconds(span.end_ns - span.start_ns)
        table.add_row(*cells_of, bar, took, cost, Text(remarks(span)))
    return Group(table, *(Text(line, style="dim") for line in sums(spans)))
