"""What no rewording may touch: code, quotes, JSON, addresses, numbers, names."""

from collections.abc import Callable, Iterator

import regex  # type: ignore[import-untyped]  # it ships no types

_FENCE = r"(?:```[\s\S]*?(?:```|\Z)|~~~[\s\S]*?(?:~~~|\Z))"
_INLINE_CODE = r"`[^`\n]*`"
_INDENTED = r"(?m:^(?: {4}|\t).*$)"
_QUOTED = r"""(?:"[^"]*"|\u201c[^\u201d]*\u201d|\u00ab[^\u00bb]*\u00bb|(?<!\w)'[^'\n]*'(?!\w))"""
_BRACED = r"(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\[[^\[\]\n]*\]|<[^<>\n]*>)"
_ADDRESS = r"(?:\w+://\S+|www\.\S+|\S+@\S+|[\w.~-]*/[\w./~-]+)"
_NUMBER = r"\S*\p{N}\S*"

CODE = regex.compile(f"{_FENCE}|{_INLINE_CODE}|{_INDENTED}|{_QUOTED}")
FENCES = regex.compile(_FENCE)
LITERAL = regex.compile(
    "|".join((_FENCE, _INLINE_CODE, _INDENTED, _QUOTED, _BRACED, _ADDRESS, _NUMBER))
)


def outside(text: str, protected: "regex.Pattern[str]") -> Iterator[tuple[str, bool]]:
    """The text in order, each piece with True where it may be rewritten."""
    start = 0
    for found in protected.finditer(text):
        if found.start() > start:
            yield text[start : found.start()], True
        if found[0]:
            yield found[0], False
        start = found.end()
    if start < len(text):
        yield text[start:], True


def rewrite(text: str, protected: "regex.Pattern[str]", change: Callable[[str], str]) -> str:
    """`change` applied to all that is not protected."""
    return "".join(change(piece) if free else piece for piece, free in outside(text, protected))
