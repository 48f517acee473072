"""Rewrites that lose nothing a model reads: JSON without blanks, text without idle blanks."""

import json
from collections.abc import Callable
from functools import partial

import regex  # type: ignore[import-untyped]  # it ships no types

from services.tokenizer.compress.spans import CODE, rewrite

# Strings are taken whole, so that a blank in one is not one between two.
_BLANKS_IN_JSON = regex.compile(r'("(?:[^"\\]|\\.)*+")|[ \t\r\n]++')
# What most programs write between the parts, and its close form.
_PAIRS = (('": ', '":'), (', "', ',"'), ("}, {", "},{"), ("], [", "],["))
_CLOSE = {": ": ":", ", ": ",", "}, ": "},", "], ": "],", ": {": ":{", ": [": ":["}
# Tabs part columns, and two of them an empty one: they stay.
_TRAILING = regex.compile(r"(?<![ \t]) ++(?=\n)")
_INNER = regex.compile(r"(?<=\S) {2,}(?=\S)")
_COLUMN = "  "
_EMPTY_LINES = regex.compile(r"\n{3,}")


def is_json(text: str) -> bool:
    """True for a whole text that is a JSON object or array."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def minify_json(text: str) -> str:
    """A JSON object or array without the blanks between its parts; every literal stays as it is.

    Any other text comes back unchanged.
    """
    return _BLANKS_IN_JSON.sub(r"\1", text) if is_json(text) else text


def quickest_minify(text: str, minified: str) -> Callable[[str], str]:
    """What makes `minified`, which `minify_json` gave, of this very text in the least time.

    The quick ways are wrong for some JSON: a string may hold what looks like the end of one.
    """
    pairs, made = [], text
    for pair in _PAIRS:
        closer = made.replace(*pair)
        if closer != made:
            pairs.append(pair)
            made = closer
        if made == minified:
            return partial(_close_pairs, tuple(pairs))
    return _close_between_quotes if _close_between_quotes(text) == minified else minify_json


def _close_pairs(pairs: tuple[tuple[str, str], ...], text: str) -> str:
    for wide, close in pairs:
        text = text.replace(wide, close)
    return text


def _close_between_quotes(text: str) -> str:
    parts = text.split('"')
    parts[::2] = [_CLOSE.get(part) or part.replace(" ", "") for part in parts[::2]]
    return '"'.join(parts)


def squeeze_whitespace(text: str) -> str:
    """Blanks at line ends, runs of blanks inside lines and of empty lines go.

    Indentation, tabs, code and quoted text stay; so does JSON, which has a rule of its own. Where
    several lines have runs inside they may be columns: two blanks of each stay.
    """
    if is_json(text):
        return text
    lines = sum(1 for line in text.split("\n") if _INNER.search(line))
    gap = _COLUMN if lines > 1 else " "
    return rewrite(text, CODE, lambda piece: _squeeze(piece, gap))


def _squeeze(piece: str, gap: str) -> str:
    piece = _TRAILING.sub("", piece)
    piece = _INNER.sub(gap, piece)
    return str(_EMPTY_LINES.sub("\n\n", piece))
