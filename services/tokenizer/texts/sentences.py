"""Where sentences end, in scripts that write full stops of either kind."""

from collections.abc import Iterator
from typing import Final

import regex  # type: ignore[import-untyped]  # it ships no types

_END = regex.compile(
    r"""[.!?\u2026]+["'\u201d\u2019\u00bb)\]]*(?=\s|$)"""  # needs a blank after it: not in 3.14
    r"""|[\u3002\uff01\uff1f\uff61\u0964]+["'\u201d\u2019\u300d\u300f\uff09]*"""
    r"""|\n+"""
)
# A full stop after one of these, or after a single capital, ends no sentence.
_ABBREVIATIONS: Final = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sr",
        "jr",
        "st",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "no",
        "nr",
        "fig",
        "eq",
        "approx",
        "inc",
        "ltd",
        "co",
        "dept",
        "est",
    }
)
_WORD_BEFORE = regex.compile(r"[\w.]{1,12}$")


def ends(text: str, start: int = 0) -> Iterator[int]:
    """Places after each sentence's last sign, closing quotes included, from `start` on."""
    for found in _END.finditer(text, start):
        if found[0] != "." or not _abbreviated(text, found.start()):
            yield found.end()


def split(text: str) -> list[str]:
    """The sentences in order, each with the blanks after it; joined they are `text`."""
    pieces = []
    begin = 0
    for end in ends(text):
        while end < len(text) and text[end].isspace():
            end += 1  # noqa: PLW2901  # the blanks belong to what they follow
        if end > begin:
            pieces.append(text[begin:end])
            begin = end
    if begin < len(text):
        pieces.append(text[begin:])
    return pieces


def _abbreviated(text: str, place: int) -> bool:
    word = _WORD_BEFORE.search(text, max(0, place - 13), place)
    if word is None:
        return False
    return word[0].lower() in _ABBREVIATIONS or (len(word[0]) == 1 and word[0].isupper())
