"""What an answer must stand before it is taken. Pure: router and gateway mean the same by it.

A check reads answers and never keeps them. Under 1 ms for a short answer without a schema; longer
work is for a worker thread (`is_long`).
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from catalog.agreement import NOTHING, agree, calls_agree, comparable, parsed
from catalog.schema_fit import fits

INLINE_CHARS_MAX = 2_000
REFUSAL_CHARS_MAX = 400


class Check(Enum):
    """What an answer must stand. All of a step's checks must hold."""

    FINISHED = auto()
    NOT_EMPTY = auto()
    NOT_REFUSED = auto()
    JSON = auto()
    TOOL_CALL = auto()
    AGREEMENT = auto()


@dataclass(frozen=True, slots=True)
class Given:
    """One answer. `finish_reason` as OpenAI names it; `calls`: (tool, arguments as JSON text)."""

    text: str = field(repr=False)
    finish_reason: str = "stop"
    refusal: str = field(default="", repr=False)
    calls: Sequence[tuple[str, str]] = field(default=(), repr=False)

    @property
    def comparable(self) -> bool:
        """Whether another answer can agree with it."""
        return bool(self.calls) or comparable(self.text)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: a JSON Schema to keep to ("": any JSON), tools' parameters by name."""

    schema_json: str = field(default="", repr=False)
    tools: Mapping[str, str] = field(default_factory=dict, repr=False)


def stands(checks: Collection[Check], given: Given, wanted: Wanted) -> bool:
    """Whether one answer stands the checks that need no other answer."""
    return not (
        (Check.FINISHED in checks and given.finish_reason not in {"stop", "tool_calls"})
        or (Check.NOT_EMPTY in checks and not given.text.strip() and not given.calls)
        or (Check.NOT_REFUSED in checks and refused(given))
        or (Check.TOOL_CALL in checks and not all(_calls_well(c, wanted) for c in given.calls))
        or (Check.JSON in checks and not given.calls and not _json_as_wanted(given, wanted))
    )


def all_agree(givens: Sequence[Given]) -> bool:
    """Whether all the answers say what the first one says. False for none."""
    return bool(givens) and all(say_the_same(givens[0], other) for other in givens[1:])


def say_the_same(one: Given, other: Given) -> bool:
    """Whether two answers agree: the same tool calls, or texts that say the same."""
    if one.calls or other.calls:
        return calls_agree(one.calls, other.calls)
    return agree(one.text, other.text)


def refused(given: Given) -> bool:
    """Whether the model would not answer: the provider says so, or a short text that begins as
    English refusals do. Taken wrongly it costs a second call, never an answer."""
    if given.refusal:
        return True
    text = given.text.strip()
    return len(text) <= REFUSAL_CHARS_MAX and bool(_REFUSAL.match(text))


def is_long(givens: Sequence[Given], wanted: Wanted) -> bool:
    """Whether checking may take over a millisecond: then it is for a worker thread."""
    chars = sum(len(given.text) + sum(len(a) for _, a in given.calls) for given in givens)
    return chars > INLINE_CHARS_MAX or bool(wanted.schema_json) or bool(wanted.tools)


def wanted_of(response_format_json: str, tools: Mapping[str, str]) -> Wanted:
    """Of a request as OpenAI has it: its response format and its tools' parameters by name."""
    schema = ""
    if response_format_json:
        try:
            found = json.loads(response_format_json)
            schema = json.dumps(found["json_schema"]["schema"])
        except (ValueError, TypeError, KeyError, RecursionError):
            schema = ""
    return Wanted(schema, tools)


_REFUSAL = re.compile(
    r"(?i)(?:i['’]?m\s+(?:very\s+|really\s+|so\s+)?sorry|sorry,|i\s+apologi[sz]e"
    r"|(?:unfortunately,?\s+)?i\s+(?:can(?:not|['’]t)|am\s+(?:unable|not\s+able)|won['’]t)\b"
    r"|as\s+an\s+ai\b)"
)


def _json_as_wanted(given: Given, wanted: Wanted) -> bool:
    value = parsed(given.text)
    return value is not NOTHING and (not wanted.schema_json or fits(value, wanted.schema_json))


def _calls_well(call: tuple[str, str], wanted: Wanted) -> bool:
    name, arguments = call
    if name not in wanted.tools:
        return False
    value = parsed(arguments or "{}")
    return isinstance(value, dict) and (not wanted.tools[name] or fits(value, wanted.tools[name]))
