"""Where a text can be cut so that the parts' tokens add up to the whole's.

Both vocabularies split text into pieces by a pattern without lookbehind before they merge
bytes, so a cut is safe where a piece ends in the whole text and still ends when the text stops
there. No piece of either pattern goes on from a non-space into a blank, nor from a letter or
digit into a line end or a comma; and what a lookahead sees left of such a cut is the same with
and without the rest. Tests try it on every character.

A blank is whitespace that ends no line. tiktoken panics on about a million of them in a row
(its regex backtracks one by one), so such a run is cut out: it starts a piece (what precedes is
no blank), and when a non-space follows, all of it but the last blank is one piece. (At the very
end cl100k_base takes the line ends before it into the same piece; no token of it goes on after a
line end, so the count is the same.)
"""

import re
from collections.abc import Iterator

# Unicode White_Space but \r and \n; Python's own \s has four more.
BLANKS = "\t\v\f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)

# One call of the encoder: big enough to be quick, small enough to be stopped between two.
PART_CHARS = 64 * 1024
# tiktoken fails at 999,999.
BLANK_RUN_CHARS_MAX = 500_000
# Prose, code and data have a cut in every few words; a look takes 0.2 ms where there is none.
_LOOK_CHARS = 1024
# A scan of Python's re holds the GIL; 16 Ki characters take well under a millisecond.
_WINDOW_CHARS = 16 * 1024

_CUT = re.compile(rf"(?<=\S)[{BLANKS}]|(?<=[^\W_])[\n,.、。，]")
_BLANK_RUN = re.compile(f"[{BLANKS}]*")


def parts_of(text: str, part_chars: int = PART_CHARS) -> Iterator[tuple[int, int]]:
    """Ranges that cover `text`, each at least `part_chars` long but the last.

    After each `part_chars` it looks for a cut in the next few; a text that offers none there is
    one part, whatever its length.
    """
    start, target = 0, part_chars
    while target < len(text):
        match = _CUT.search(text, target, target + _LOOK_CHARS)
        if match is not None:
            yield start, match.start()
            start = match.start()
            target = start
        target += part_chars
    yield start, len(text)


def blank_runs_in(
    text: str, start: int, end: int, run_chars_max: int = BLANK_RUN_CHARS_MAX
) -> Iterator[tuple[int, int]]:
    """The runs of more than `run_chars_max` blanks in text[start:end], in order."""
    # A run that long covers one of these probes.
    probe = start + run_chars_max
    while probe < end:
        if text[probe] in BLANKS:
            first, last = _run_start(text, start, probe), _run_end(text, probe, end)
            if last - first > run_chars_max:
                yield first, last
                start = probe = last
        probe += run_chars_max


def _run_end(text: str, at: int, end: int) -> int:
    while at < end:
        match = _BLANK_RUN.match(text, at, min(at + _WINDOW_CHARS, end))
        if match is None or match.end() == at:
            return at
        at = match.end()
    return end


def _run_start(text: str, start: int, at: int) -> int:
    while at > start:
        window = text[max(start, at - _WINDOW_CHARS) : at]
        left = len(window.rstrip(BLANKS))
        at -= len(window) - left
        if left:
            return at
    return start
