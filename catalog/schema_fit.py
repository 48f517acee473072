"""Whether a value keeps to a JSON Schema that a caller wrote. Pure, bounded.

The schema is a stranger's: no pattern is run (a regular expression can take for ever), nothing is
fetched, and after CHECKS_MAX keywords the value counts as not fitting.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

SCHEMA_CHARS_MAX = 65_536
CHECKS_MAX = 20_000
# Regular expressions of the schema's author.
_NOT_RUN = ("pattern", "patternProperties", "format")

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


class _TooMuch(Exception):
    """More keywords than may be checked."""


def fits(value: Any, schema_json: str) -> bool:
    """Whether a parsed value keeps to the schema. A schema that is none asks for nothing."""
    if len(schema_json) > SCHEMA_CHARS_MAX:
        return True
    try:
        schema = json.loads(schema_json)
    except (ValueError, RecursionError):
        return True
    if not isinstance(schema, dict):
        return True
    left = [CHECKS_MAX]
    keywords = {
        name: _counted(check, left)
        for name, check in Draft202012Validator.VALIDATORS.items()
        if name not in _NOT_RUN
    }
    silent: dict[str, Keyword] = dict.fromkeys(_NOT_RUN, _passes)
    validator = extend(Draft202012Validator, {**keywords, **silent})
    try:
        return bool(validator(schema, registry=Registry()).is_valid(value))
    except (_TooMuch, RecursionError):
        return False
    except (Unresolvable, TypeError, ValueError, KeyError, AttributeError):
        # The schema is at fault, not the answer.
        return True


def _counted(check: Any, left: list[int]) -> Keyword:
    def counted(validator: Any, word: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        left[0] -= 1
        if left[0] < 0:
            raise _TooMuch
        yield from check(validator, word, value, schema) or ()

    return counted


def _passes(*_: Any) -> Iterator[ValidationError]:
    return iter(())
