"""The verb Truncate: as much of a text as fits so many tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.tokenizer import limits
from services.tokenizer.errors import truncation_invalid
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.texts import graphemes, sentences
from services.tokenizer.texts.measure import Measured

DEFAULT_MARKER: Final = "\n[\u2026]\n"
MARKER_BYTES_MAX: Final = 256
# A sentence or line end is taken when it is no further back than this, and than half of the cut.
_LOOK_BACK_CHARS: Final = 4096


class Side(Enum):
    """What is kept."""

    HEAD = "head"
    TAIL = "tail"
    MIDDLE = "middle"  # head and tail, the middle goes


class Boundary(Enum):
    """Where a cut is liked best."""

    NONE = "none"
    SENTENCE = "sentence"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a text is to be cut."""

    tokens_max: int
    side: Side = Side.HEAD
    boundary: Boundary = Boundary.NONE
    marker: str = DEFAULT_MARKER


@dataclass(frozen=True, slots=True)
class Cut:
    """The result: text[:head_chars], then the marker if any, then the last `tail_chars`."""

    text: str
    before: Tally
    after: Tally
    head_chars: int
    tail_chars: int


def truncate(text: str, wanted: Wanted, meter: Meter) -> Cut:
    """Cuts `text` to at most `wanted.tokens_max` tokens, never inside a grapheme cluster. CPU work.

    Raises: TextTooLarge, InvalidFields (TRUNCATION_INVALID), what the meter's checkpoint raises.
    """
    limits.check_text(text)
    tokens_max = wanted.tokens_max
    if tokens_max < 0:
        raise truncation_invalid("max_tokens", "must be 0 or more")
    if limits.bytes_over(wanted.marker, MARKER_BYTES_MAX):
        raise truncation_invalid("marker", f"is over {MARKER_BYTES_MAX} bytes")
    before = tally_of(text, meter)
    if before.tokens <= tokens_max:
        return Cut(text, before, before, len(text), 0)
    measured = Measured(text, meter)
    budget = tokens_max
    while True:
        head, tail, shown = _choose(measured, budget, wanted, meter)
        kept = text[:head] + shown + text[len(text) - tail :]
        after = tally_of(kept, meter)
        if after.tokens <= tokens_max:
            return Cut(kept, before, after, head, tail)
        # Parts that are joined may count for more than their sum; give way by what is over.
        budget -= max(1, after.tokens - tokens_max)


def tally_of(text: str, meter: Meter) -> Tally:
    """A fresh count of one text."""
    tally = Tally()
    meter.text(text, tally)
    return tally


def _choose(measured: Measured, budget: int, wanted: Wanted, meter: Meter) -> tuple[int, int, str]:
    """(characters of head, of tail, the marker shown)."""
    boundary, marker = wanted.boundary, wanted.marker
    if wanted.side is Side.TAIL:
        return 0, _tail_chars(measured, budget, boundary), ""
    if wanted.side is Side.MIDDLE:
        left = budget - tally_of(marker, meter).tokens
        if left >= 2:  # else the marker would be all there is
            head = _head_chars(measured, (left + 1) // 2, boundary)
            tail = _tail_chars(measured, left - measured.head(head), boundary)
            return head, min(tail, len(measured.text) - head), marker
    return _head_chars(measured, budget, boundary), 0, ""


def _head_chars(measured: Measured, tokens_max: int, boundary: Boundary) -> int:
    text = measured.text
    chars = _most_chars(len(text), tokens_max, measured.head)
    chars = graphemes.at_or_before(text, chars)
    chars = _nice_end(text, chars, boundary)
    while chars and measured.head(chars) > tokens_max:
        chars = graphemes.at_or_before(text, chars - 1)
    return chars


def _tail_chars(measured: Measured, tokens_max: int, boundary: Boundary) -> int:
    text = measured.text
    start = len(text) - _most_chars(len(text), tokens_max, measured.tail)
    start = graphemes.at_or_after(text, start)
    start = _nice_start(text, start, boundary)
    while start < len(text) and measured.tail(len(text) - start) > tokens_max:
        start = graphemes.at_or_after(text, start + 1)
    return len(text) - start


def _most_chars(chars: int, tokens_max: int, tokens: Callable[[int], int]) -> int:
    """A number of characters that fits where one more does not; by guess and bisection."""
    low, low_tokens = 0, 0
    high, high_tokens = chars, tokens(chars)
    if tokens_max <= 0:
        return 0
    if high_tokens <= tokens_max:
        return high
    halve = False
    while high - low > 1:
        width = high - low
        share = width // 2 if halve else width * (tokens_max - low_tokens + 1)
        guess = share if halve else share // (high_tokens - low_tokens + 1)
        middle = low + max(1, min(guess, width - 1))
        found = tokens(middle)
        if found <= tokens_max:
            low, low_tokens = middle, found
        else:
            high, high_tokens = middle, found
        halve = high - low > width // 2
    return low


def _nice_end(text: str, chars: int, boundary: Boundary) -> int:
    """The last sentence or line end near `chars`, or `chars`."""
    earliest = max(chars // 2, chars - _LOOK_BACK_CHARS, 1)
    best = chars
    if boundary is Boundary.LINE:
        line = text.rfind("\n", earliest - 1, chars) + 1
        best = line or chars
    elif boundary is Boundary.SENTENCE:
        for end in sentences.ends(text, earliest):
            if end > chars:
                break
            best = end
    return graphemes.at_or_before(text, best)


def _nice_start(text: str, start: int, boundary: Boundary) -> int:
    """The first sentence or line start near `start`, or `start`."""
    latest = min(start + (len(text) - start) // 2, start + _LOOK_BACK_CHARS)
    best = start
    if boundary is Boundary.LINE:
        line = text.find("\n", max(0, start - 1), latest) + 1
        best = line or start
    elif boundary is Boundary.SENTENCE:
        for end in sentences.ends(text, max(0, start - 2)):
            begin = end
            while begin < len(text) and text[begin].isspace():
                begin += 1
            if begin > latest:
                break
            if begin >= start:
                best = begin
                break
    return graphemes.at_or_after(text, best)
