"""Cuts out of a text what tells who somebody is or opens something.

Pure: text in, text out. Every pattern runs on RE2, whose time grows with the text and with nothing
else, so that no text can make it slow.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2

# A secret that begins before the cut and is longer than this is found by its beginning only.
LOOK_AHEAD_CHARS = 1024
CUSTOM: Final = "custom"


@dataclass(frozen=True, slots=True)
class Found:
    """A place in a text: `kind` says what stands from `start` up to `end`, in characters."""

    kind: str
    start: int
    end: int


def _luhn(text: str) -> bool:
    """Whether the digits' check digit is right (ISO/IEC 7812-1, annex B)."""
    digits = [int(each) for each in text if each.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """Whether the check digits are right (ISO 7064, MOD 97-10, as ISO 13616 uses it)."""
    plain = "".join(text.split()).upper()
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


# Kind, pattern, and what a match must stand besides. Where two overlap, the one that begins first
# names the place, of two beginnings the one that stands first here.
_BUILT_IN: Final[Sequence[tuple[str, str, Callable[[str], bool] | None]]] = (
    (
        "private_key",
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*KEY-----|\z)",
        None,
    ),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", None),
    (
        "key",
        r"\b(?:sk|pk|rk|sg|ghp|gho|ghs|ghu|github_pat|glpat|hf|xox[abprs]|whsec)[-_]"
        r"[A-Za-z0-9_\-]{16,}|\bA(?:KIA|SIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_\-]{35}|\bya29\.[\w\-]{20,}",
        None,
    ),
    ("key", r"(?i)\bbearer\s+[A-Za-z0-9._~+/\-]{8,}=*", None),
    (
        "key",
        r"(?i)\b(?:(?:password|passwd|pwd|passphrase)[\"']?\s*(?:[:=]|\bis\b)|"
        r"(?:secret|token|api[_\- ]?key|access[_\- ]?key)[\"']?\s*[:=])\s*[\"']?[^\s\"',;]{6,}",
        None,
    ),
    ("credentials", r"(?i)\b[a-z][a-z0-9+.\-]+://[^\s/:@]+:[^\s/@]+@", None),
    ("email", r"[\pL\pN._%+\-]+@(?:[\pL\pN\-]+\.)+\pL{2,24}", None),
    ("iban", r"(?i)\b[a-z]{2}[0-9]{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?\b", _iban),
    ("card", r"\b[0-9](?:[ -]?[0-9]){12,18}\b", _luhn),
    ("ssn", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", None),
    ("phone", r"\+[0-9](?:[ ().\-]{0,2}[0-9]){7,14}\b", None),
    ("phone", r"\(?\b[0-9]{3}\)?[ .\-][0-9]{3}[ .\-][0-9]{4}\b", None),
    (
        "ip",
        r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
        None,
    ),
    ("ip", r"(?i)\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b", None),
)
KINDS: Final = tuple(dict.fromkeys([*(kind for kind, _, _ in _BUILT_IN), CUSTOM]))


class Redactor:
    """Finds and cuts out personal data and secrets by pattern, not by meaning: names of people and
    places in plain words stay."""

    def __init__(self, patterns: Iterable[str] = (), kinds: Iterable[str] = KINDS) -> None:
        """`patterns` are an operator's own, besides those built in. `kinds` leaves others out.

        Raises: re2.error for a pattern that is none.
        """
        wanted = frozenset(kinds)
        own = [(CUSTOM, pattern, None) for pattern in patterns]
        options = re2.Options()
        options.log_errors = False
        self._rules: list[tuple[str, Any, Callable[[str], bool] | None]] = [
            (kind, re2.compile(pattern, options=options), stands)
            for kind, pattern, stands in (*_BUILT_IN, *own)
            if kind in wanted
        ]

    def find(self, text: str) -> list[Found]:
        """What would be cut out, in order; no two places overlap."""
        merged: list[Found] = []
        for _, found in sorted(self._matches(text), key=lambda place: (place[1].start, place[0])):
            if merged and found.start < merged[-1].end:
                last = merged[-1]
                merged[-1] = Found(last.kind, last.start, max(last.end, found.end))
            else:
                merged.append(found)
        return merged

    def redact(self, text: str) -> str:
        """The text with [kind] in place of each of them."""
        return self._without(text, len(text))

    def redact_beginning(self, text: str, chars_max: int) -> str:
        """The text's first `chars_max` characters, redacted. What crosses the cut is cut out whole:
        half a secret would match no pattern."""
        if len(text) <= chars_max:
            return self.redact(text)
        return self._without(text[: chars_max + LOOK_AHEAD_CHARS], chars_max)

    def _matches(self, text: str) -> Iterator[tuple[int, Found]]:
        for rank, (kind, pattern, stands) in enumerate(self._rules):
            for match in pattern.finditer(text):
                start, end = match.span()
                if end > start and (stands is None or stands(match.group())):
                    yield rank, Found(kind, start, end)

    def _without(self, text: str, end: int) -> str:
        pieces: list[str] = []
        at = 0
        for found in self.find(text):
            if found.start >= end:
                break
            pieces += (text[at : found.start], f"[{found.kind}]")
            at = found.end
        pieces.append(text[at:end])
        return "".join(pieces)
