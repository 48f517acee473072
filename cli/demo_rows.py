"""The support chatbot's day: rows of a data file, checked, and the order they may run in."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from importlib import resources

DATA = "demo_day"
ROWS_MAX = 2_000

DOORS = frozenset({"grpc", "stream", "http"})
EXPECTED = frozenset({"hit", "miss", "refused", "any"})
KINDS = frozenset(
    {"original", "repeat", "variant", "paraphrase", "near_miss", "turn", "over_budget"}
)
# Rows name a strong model by this word; the fleet's file says which model that is.
STRONG = "strong"


class DayInvalid(Exception):
    """The day's file is not one. The text names the row and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request of the day.

    `group` is what the question means: rows of one group may be served one another's answer,
    rows of two groups never. `near` names the group that a near-miss looks like. `turn` counts
    from 1 within a conversation (the rows of one session that have a turn); 0 outside of one.
    Rows of one `burst` come at the same moment.
    """

    id: str
    time: str
    feature: str
    kind: str
    user: str
    session: str
    model: str
    system: str
    text: str
    output_tokens_max: int
    stop: tuple[str, ...]
    temperature: int
    group: str
    expect: str
    door: str = "grpc"
    near: str = ""
    turn: int = 0
    burst: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """The rows in the day's order and the system prompts that they name."""

    rows: tuple[Row, ...]
    prompts: dict[str, str]


def load_day() -> Day:
    """The day that comes with Spendgate. Raises DayInvalid."""
    folder = resources.files("cli") / DATA
    prompts = json.loads((folder / "prompts.json").read_text("utf-8"))
    lines = (folder / "day.jsonl").read_text("utf-8").splitlines()
    return parse_day(lines, prompts)


def parse_day(lines: Iterable[str], prompts: dict[str, str]) -> Day:
    """A day from its lines of JSON. Raises DayInvalid at the first row that is none."""
    rows = [_row(line, number) for number, line in enumerate(lines, 1)]
    if not 1 <= len(rows) <= ROWS_MAX:
        raise DayInvalid(f"a day has 1 to {ROWS_MAX} rows, not {len(rows)}")
    ids: set[str] = set()
    groups: set[str] = set()
    before = ""
    for row in rows:
        problem = _problem(row, ids, groups, prompts, before)
        if problem:
            raise DayInvalid(f"row {row.id}: {problem}")
        ids.add(row.id)
        groups.add(row.group)
        before = row.time
    return Day(tuple(rows), prompts)


def _row(line: str, number: int) -> Row:
    known = {field.name for field in fields(Row)}
    try:
        values = json.loads(line)
        values["stop"] = tuple(values["stop"])
        unknown = sorted(values.keys() - known)
        if unknown:
            raise DayInvalid(f"line {number}: no field is called {unknown[0]}")
        return Row(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DayInvalid(f"line {number}: not a row ({type(error).__name__})") from error


def _problem(
    row: Row, ids: set[str], groups: set[str], prompts: dict[str, str], before: str
) -> str:
    checks = (
        (row.id in ids, "its id was used before"),
        (row.time < before, "it comes before the row above it"),
        (row.kind not in KINDS, f"no kind is called {row.kind}"),
        (row.expect not in EXPECTED, f"nothing is expected by the word {row.expect}"),
        (row.door not in DOORS, f"no door is called {row.door}"),
        (row.system not in prompts, f"no system prompt is called {row.system}"),
        (not row.text.strip(), "it asks nothing"),
        (row.output_tokens_max < 1, "an answer has at least 1 token"),
        (row.kind == "near_miss" and row.near not in groups, "what it is near to comes later"),
        (row.near == row.group, "it is near to its own group"),
        (row.expect == "hit" and row.group not in groups, "nothing before it can be served"),
        (row.kind == "original" and row.group in groups, "its group has an original"),
    )
    return next((text for wrong, text in checks if wrong), "")


def first_rows(day: Day, count: int | None) -> Day:
    """The day's first `count` requests; all when None."""
    return day if count is None else Day(day.rows[:count], day.prompts)


def dependencies(rows: Sequence[Row]) -> dict[str, frozenset[str]]:
    """For each row the ids of those that must be done before it begins.

    A session's requests go in order; a request waits for the earlier ones of its group and of
    the group it is near to, so that a repeat finds an answer and a near-miss a temptation. Rows
    of one burst do not wait for each other.
    """
    found: dict[str, frozenset[str]] = {}
    in_session: dict[str, str] = {}
    in_group: dict[str, list[Row]] = {}
    for row in rows:
        needed = {
            earlier.id
            for group in (row.group, row.near)
            for earlier in in_group.get(group, [])
            if not (row.burst and earlier.burst == row.burst)
        }
        if row.session in in_session:
            needed.add(in_session[row.session])
        found[row.id] = frozenset(needed)
        in_session[row.session] = row.id
        in_group.setdefault(row.group, []).append(row)
    return found
