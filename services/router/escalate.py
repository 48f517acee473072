"""Plans that ask cheap models first, and the checks that say whether an answer stands.

Pure: a plan is data that Route gives along, the gateway carries it out and the ledger holds its
worst case. A check reads answers and never keeps them.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from typing import Any

STEPS_MAX = 3
ANSWER_CHARS_MAX = 20_000
SHORT_WORDS_MAX = 12
# A plan makes some callers wait twice: it must save this much, and mostly end at the first step.
# On published outcomes this keeps GSM8K (28 % of the money) and CRUX (53 %) and declines MATH
# level 5 (77 %).
SAVING_PERCENT_MIN = 35
STANDS_PERCENT_MIN = 50


class Check(Enum):
    """What an answer must stand. All of a step's checks must hold."""

    FINISHED = auto()
    NOT_EMPTY = auto()
    JSON = auto()
    TOOL_CALL = auto()
    AGREEMENT = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """Ask `model`; accept when `checks` hold, else go on to the next step. `parallel`: with it."""

    model: str
    checks: Sequence[Check]
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` in order; the last one's answer is taken as it is. Costs in nano-USD."""

    steps: Sequence[Step]
    expected_nanos: int
    worst_nanos: int
    strong_nanos: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan, or None and why there is none."""

    plan: Plan | None
    reason: str


@dataclass(frozen=True, slots=True)
class Costs:
    """Expected and worst nano-USD of one call."""

    expected_nanos: int
    worst_nanos: int


def plan_for(
    cheap: Sequence[tuple[str, Costs]],
    strong: tuple[str, Costs],
    *,
    agreed_percent: int | None,
    json_wanted: bool = False,
    tools_wanted: bool = False,
) -> Offer:
    """The plan, where it pays: its expected cost must be well below asking the strong model.

    `agreed_percent`: how often the cheap answers stood their checks so far; None: not known, then
    no plan is offered.
    """
    checks = [Check.FINISHED, Check.NOT_EMPTY]
    checks += [Check.JSON] if json_wanted else []
    checks += [Check.TOOL_CALL] if tools_wanted else []
    if agreed_percent is None:
        return Offer(None, "not known yet how often the cheap answers stand")
    first = sum(costs.expected_nanos for _, costs in cheap)
    rest = strong[1].expected_nanos * (100 - agreed_percent)
    expected = first + -(-rest // 100)
    ceiling = strong[1].expected_nanos * (100 - SAVING_PERCENT_MIN) // 100
    if agreed_percent < STANDS_PERCENT_MIN or expected >= ceiling:
        return Offer(None, f"cheap answers stand {agreed_percent} % of the time: it does not pay")
    pair = len(cheap) > 1
    steps = [
        Step(name, (*checks, Check.AGREEMENT) if pair else tuple(checks), parallel=pair)
        for name, _ in cheap
    ]
    steps.append(Step(strong[0], ()))
    worst = sum(costs.worst_nanos for _, costs in cheap) + strong[1].worst_nanos
    plan = Plan(tuple(steps), expected, worst, strong[1].expected_nanos)
    return Offer(plan, f"cheap answers stand {agreed_percent} % of the time")


def stands(
    checks: Sequence[Check], text: str, finish_reason: str, *, tool_call_valid: bool = True
) -> bool:
    """Whether one answer stands the checks that need no other answer."""
    failed = (
        (Check.FINISHED in checks and finish_reason not in {"stop", "tool_calls"})
        or (Check.NOT_EMPTY in checks and not text.strip() and finish_reason != "tool_calls")
        or (Check.JSON in checks and _json(text) is _NOTHING)
        or (Check.TOOL_CALL in checks and not tool_call_valid)
    )
    return not failed


def agree(one: str, other: str) -> bool:
    """Whether two answers say the same: equal JSON, final number, choice or short text.

    Long prose never agrees: equal words are no proof, other words no disproof.
    """
    if len(one) > ANSWER_CHARS_MAX or len(other) > ANSWER_CHARS_MAX:
        return False
    left, right = _json(one), _json(other)
    if left is not _NOTHING and right is not _NOTHING:
        return _equal(left, right)
    a, b = final_answer(one), final_answer(other)
    if a is None or b is None:
        return False
    a_number, b_number = _number(a), _number(b)
    if a_number is not None and b_number is not None:
        return a_number == b_number
    return _plain(a) == _plain(b) != ""


def final_answer(text: str) -> str | None:
    """The part of an answer that can be compared, None when there is none."""
    text = text.strip()
    for pattern in _FINAL:
        found = pattern.findall(text)
        if found:
            return str(found[-1]).strip()
    if len(text.split()) <= SHORT_WORDS_MAX:
        return text or None
    return None


_FINAL = (
    re.compile(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"),
    re.compile(r"####\s*(.+)$", re.MULTILINE),
    re.compile(
        r"(?i)\b(?:final\s+)?answer\s*(?:is|:|=)\s*\**\(?([^\n]{1,80}?)\)?\**\.?\s*(?:\n|$)"
    ),
    re.compile(r"^\(?([A-J])[).:]?\s*$", re.MULTILINE),
)
_NOTHING = object()
_NUMBER = re.compile(r"[-+]?(?:\d[\d,_]*)?\.?\d+(?:[eE][-+]?\d{1,3})?(?:\s*/\s*\d+)?")


def _json(text: str) -> Any:
    text = text.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL)
    try:
        found = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return _NOTHING
    return found if isinstance(found, dict | list) else _NOTHING


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return _plain(one) == _plain(other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _number(text: str) -> Fraction | None:
    text = text.strip().strip("$€£%").rstrip(".").replace("\\$", "").replace("\\%", "").strip()
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Fraction(text.replace(",", "").replace("_", "").replace(" ", ""))
    except (ValueError, ZeroDivisionError):
        return None


def _plain(text: str) -> str:
    return " ".join(text.casefold().strip(" .'\"`*()").split())
