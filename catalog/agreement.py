"""Whether two answers say the same: labels, choices, numbers, JSON, tool calls. Pure.

Read, never kept. Long prose never agrees: equal words are no proof, other words no disproof.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

ANSWER_CHARS_MAX = 20_000
SHORT_WORDS_MAX = 12
# Where an answer in JSON holds its result beside its reasoning, the result is what is compared.
RESULT_KEYS = ("answer", "final_answer", "label", "choice", "result")
NOTHING = object()
"""What parsed() gives for a text that is no JSON object or array."""


def agree(one: str, other: str) -> bool:
    """Whether two texts say the same: equal JSON, final number, choice or short text."""
    if len(one) > ANSWER_CHARS_MAX or len(other) > ANSWER_CHARS_MAX:
        return False
    left, right = parsed(one), parsed(other)
    if left is not NOTHING and right is not NOTHING:
        return _equal(*_results(left, right))
    a, b = final_answer(one), final_answer(other)
    if a is None or b is None:
        return False
    a_number, b_number = _number(a), _number(b)
    if a_number is not None and b_number is not None:
        return a_number == b_number
    return _plain(a) == _plain(b) != ""


def comparable(text: str) -> bool:
    """Whether a text has a part that another can agree with."""
    if len(text) > ANSWER_CHARS_MAX:
        return False
    return parsed(text) is not NOTHING or final_answer(text) is not None


def calls_agree(one: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]) -> bool:
    """Whether the same tools are called in the same order with equal arguments.

    A call is its name and its arguments as JSON text.
    """
    if len(one) != len(other):
        return False
    for (name, arguments), (other_name, other_arguments) in zip(one, other, strict=True):
        left, right = parsed(arguments or "{}"), parsed(other_arguments or "{}")
        if name != other_name or left is NOTHING or right is NOTHING or not _equal(left, right):
            return False
    return True


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


def parsed(text: str) -> Any:
    """The JSON object or array that a text is, alone or fenced; NOTHING when it is none."""
    text = text.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL)
    try:
        found = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return NOTHING
    return found if isinstance(found, dict | list) else NOTHING


_FINAL = (
    re.compile(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"),
    re.compile(r"####\s*(.+)$", re.MULTILINE),
    re.compile(
        r"(?i)\b(?:final\s+)?answer\s*(?:is|:|=)\s*\**\(?([^\n]{1,80}?)\)?\**\.?\s*(?:\n|$)"
    ),
    re.compile(r"^\(?([A-J])[).:]?\s*$", re.MULTILINE),
)
_NUMBER = re.compile(r"[-+]?(?:\d[\d,_]*)?\.?\d+(?:[eE][-+]?\d{1,3})?(?:\s*/\s*\d+)?")


def _results(one: Any, other: Any) -> tuple[Any, Any]:
    """What to compare of two JSON values: the same result key's values, else all of them."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in RESULT_KEYS:
            if key in one and key in other:
                return one[key], other[key]
    return one, other


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
