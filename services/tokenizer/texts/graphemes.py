"""What a reader takes for one character: extended grapheme clusters (Unicode annex 29).

The rules themselves are the `regex` package's `\\X`. It reads from left to right, so this finds
a place further left where a cluster certainly begins and reads from there.
"""

from typing import Final

import regex  # type: ignore[import-untyped]  # it ships no types

_CLUSTER = regex.compile(r"\X")
# Rules GB4, GB5, GB999: a character without a class of its own attaches to nothing but what is
# left out here before it (prepended signs, joiners, marks that link Indic consonants).
_CERTAIN = regex.compile(
    r"(?<=[\p{GCB=Other}\p{GCB=Control}\p{GCB=LF}\p{GCB=LV}\p{GCB=LVT}])\p{GCB=Other}"
)
_WINDOW_CHARS: Final = 256


def at_or_before(text: str, place: int) -> int:
    """The last place up to `place` where no cluster of `text` is split."""
    if not 0 < place < len(text):
        return max(0, min(place, len(text)))
    boundary = _certain_start(text, place)
    while (end := _cluster_ends(text, boundary, place)) > boundary:
        boundary = end
    return boundary


def at_or_after(text: str, place: int) -> int:
    """The first place from `place` on where no cluster of `text` is split."""
    boundary = at_or_before(text, place)
    if boundary >= place:
        return boundary
    return boundary + len(_CLUSTER.match(text[boundary:])[0])


def _cluster_ends(text: str, boundary: int, place: int) -> int:
    """The last end up to `place` of the next few clusters; `boundary` when there is none.

    Clusters are read from short slices: at each flag the library looks back over all before it.
    """
    width = _WINDOW_CHARS
    while True:
        piece = text[boundary : boundary + width]
        whole = boundary + width >= len(text)
        last = 0
        for cluster in _CLUSTER.finditer(piece):
            if boundary + cluster.end() > place:
                return boundary + last
            if cluster.end() < len(piece) or whole:
                last = cluster.end()
        if last or whole:
            return boundary + last
        width *= 4


def _certain_start(text: str, place: int) -> int:
    width, end = _WINDOW_CHARS, place
    while end > 0:
        start = max(0, end - width)
        found = [match.start() for match in _CERTAIN.finditer(text, start, end)]
        if found:
            return int(found[-1])
        width, end = width * 4, start
    return 0
