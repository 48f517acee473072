"""Names that stand for what is kept from a provider, and their way back.

Within a request equal values have one name, counted in the order of the prompt: a conversation that
grows keeps the names it had, so that a provider's prompt cache still finds its beginning.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.privacy.redact import Redactor

# Longer than any name: what is held back of a stream while it may become one.
NAME_CHARS_MAX = 40
_NAME = re.compile(r"\[([A-Z_]+)_([0-9]{1,6})(x*)\]", re.IGNORECASE)
# What only its provider can read, and would refuse changed; and what is no text.
_SEALED = frozenset(
    {"signature", "encrypted_content", "encrypted_index", "thought_signature", "thoughtSignature"}
)
_PACKED = ("base64", "redacted_thinking")
_BEGUN = re.compile(r"\[[A-Za-z_0-9]*$")


class Vault:
    """What was taken out of one request."""

    def __init__(self, redactor: Redactor, texts: Iterable[str]) -> None:
        """`texts` are the request's: no name is made that stands in them already."""
        self._redactor = redactor
        self._names: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        longest = max(
            (len(found[3]) for text in texts for found in _NAME.finditer(text)), default=-1
        )
        # One x more than any name the caller wrote itself.
        self._mark = "x" * (longest + 1)

    @property
    def empty(self) -> bool:
        """Nothing was taken out."""
        return not self._values

    def close(self, text: str) -> str:
        """The text with names in place of what is kept."""
        pieces, at = [], 0
        for found in self._redactor.find(text):
            pieces += [
                text[at : found.start],
                self._name(found.kind, text[found.start : found.end]),
            ]
            at = found.end
        return "".join([*pieces, text[at:]]) if pieces else text

    def close_json(self, text: str) -> str:
        """The same for the strings inside a JSON text; what is none is taken as plain text."""
        if not text:
            return text
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self.close(text)
        closed = self._closed(value)
        return text if closed == value else orjson.dumps(closed).decode()

    def open(self, text: str, *, in_json: bool = False) -> str:
        """The text with the values back; `in_json`, as they stand within a JSON string."""

        def value(found: re.Match[str]) -> str:
            kept = self._values.get(found[0].upper())
            if kept is None:
                return found[0]
            return json.dumps(kept, ensure_ascii=False)[1:-1] if in_json else kept

        return _NAME.sub(value, text)

    def _name(self, kind: str, value: str) -> str:
        name = self._names.get(value)
        if name is None:
            word = kind.upper()
            self._counts[word] = self._counts.get(word, 0) + 1
            name = f"[{word}_{self._counts[word]}{self._mark}]"
            self._names[value] = name
            self._values[name.upper()] = value
        return name

    def _closed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.close(value)
        if isinstance(value, list):
            return [self._closed(each) for each in value]
        if isinstance(value, dict):
            opaque = _SEALED if value.get("type") not in _PACKED else {*_SEALED, "data"}
            return {k: v if k in opaque else self._closed(v) for k, v in value.items()}
        return value


class Opening:
    """Puts values back into a text that comes in pieces, whose borders may cut a name."""

    def __init__(self, vault: Vault, *, in_json: bool = False) -> None:
        self._vault = vault
        self._in_json = in_json
        self._held = ""

    def piece(self, text: str) -> str:
        """What can be told by now."""
        whole = self._held + text
        begun = _BEGUN.search(whole)
        cut = len(whole)
        if begun is not None and len(whole) - begun.start() <= NAME_CHARS_MAX:
            cut = begun.start()
        self._held = whole[cut:]
        return self._vault.open(whole[:cut], in_json=self._in_json)

    def rest(self) -> str:
        """What was held back when no more comes."""
        held, self._held = self._held, ""
        return held
