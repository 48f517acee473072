"""Reads JSON objects field by field, naming the path of what does not fit.

An absent field and a null are the same, as in OpenAI's API. What nobody took is the rest, and
the rest is handed through.
"""

from typing import Any

import orjson

from chassis.errors import FieldViolation, InvalidFields

_INT64_MAX = 2**63 - 1
REASON = "REQUEST_INVALID"


class NotJson(Exception):
    """A body is no JSON, or holds text that is not UTF-8."""


def invalid(path: str, description: str) -> InvalidFields:
    """The error for the field at `path`. `description` must not quote its content."""
    return InvalidFields(REASON, FieldViolation(path, description))


def to_json(value: Any, path: str) -> str:
    """`value` as compact JSON text, order of keys kept. Raises InvalidFields: nested too deep."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise invalid(path, "is nested too deep") from None


def object_from(text: str, path: str) -> dict[str, Any]:
    """The JSON object in `text`, {} when it is empty. Raises InvalidFields."""
    if not text:
        return {}
    value = value_from(text, path)
    if not isinstance(value, dict):
        raise invalid(path, "must be a JSON object")
    return value


def value_from(text: str, path: str) -> Any:
    """The JSON value in `text`. Raises InvalidFields."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid(path, "is not valid JSON") from None


class Fields:
    """One JSON object being read."""

    def __init__(self, value: Any, path: str) -> None:
        """Raises InvalidFields unless `value` is an object. `path` is "" for the outermost."""
        if not isinstance(value, dict):
            raise invalid(path, "must be an object")
        self._left: dict[str, Any] = {
            name: item for name, item in value.items() if item is not None
        }
        self._prefix = path + "." if path else ""

    def path(self, name: str) -> str:
        """Where the field `name` is, for an error."""
        return self._prefix + name

    def take(self, name: str) -> Any:
        """The field as it is, None when it is absent."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str:
        """The field, "" when it is absent."""
        value = self._left.pop(name, "")
        if not isinstance(value, str):
            raise invalid(self.path(name), "must be a string")
        return value

    def required_text(self, name: str) -> str:
        """The field, which must be there and not empty."""
        value = self.text(name)
        if not value:
            raise invalid(self.path(name), "is required")
        return value

    def number(self, name: str) -> float | None:
        """The field as a double."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(self.path(name), "must be a number")
        return float(value)

    def integer(self, name: str, largest: int = _INT64_MAX) -> int | None:
        """The field; its size is at most `largest` either way of zero."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if isinstance(value, float) or (not isinstance(value, bool) and isinstance(value, int)):
            if not isinstance(value, int) or not -largest <= value <= largest:
                raise invalid(self.path(name), f"must be a whole number of at most {largest}")
            return value
        raise invalid(self.path(name), "must be a whole number")

    def boolean(self, name: str) -> bool | None:
        """The field."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, bool):
            raise invalid(self.path(name), "must be true or false")
        return value

    def items(self, name: str, items_max: int) -> list[Any] | None:
        """The field, a list of at most `items_max`."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, list):
            raise invalid(self.path(name), "must be a list")
        if len(value) > items_max:
            raise invalid(self.path(name), f"has {len(value)} items, at most {items_max}")
        return value

    def json_text(self, name: str) -> str:
        """The field as JSON text, "" when it is absent."""
        value = self._left.pop(name, None)
        return "" if value is None else to_json(value, self.path(name))

    def rest(self) -> dict[str, Any]:
        """What nobody took."""
        return self._left

    def rest_json(self) -> str:
        """What nobody took, as JSON text; "" when that is nothing."""
        return to_json(self._left, self._prefix.rstrip(".")) if self._left else ""
