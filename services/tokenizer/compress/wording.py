"""Shorter words for the same instruction: polite fillers go, long stock phrases shrink.

Lossy, so only when asked. Only prose is touched (`spans.LITERAL` is not), only words in lower
case or at a sentence's start (the rest may be names), and nothing beside a negation: "not just"
and "do not really" stay as they are.
"""

from typing import Final

import regex  # type: ignore[import-untyped]  # it ships no types

from services.tokenizer.compress.lossless import is_json
from services.tokenizer.compress.spans import LITERAL, outside

_PHRASES: Final = (
    (r"could you please|would you please|can you please", ""),
    (r"i would like you to|i want you to|i'd like you to", ""),
    (r"please note that|it is important to note that|note that", ""),
    # "To please them" is no courtesy.
    (
        r"(?<!\b(?:to|will|would|can|could|may|might|must|should|and|or|who|which|that)\s+)please"
        r"|kindly|very|really|actually|basically|essentially",
        "",
    ),
    (r"in order to", "to"),
    (r"due to the fact that", "because"),
    (r"at this point in time", "now"),
    (r"in the event that", "if"),
    (r"for the purpose of", "for"),
    (r"with regard to|with respect to|in regard to", "about"),
    (r"a large number of", "many"),
    (r"as well as", "and"),
    (r"make sure that you|make sure to|be sure to", ""),
)
_ABBREVIATIONS: Final = (
    (r"you are a helpful assistant", "assist"),
    (r"generate a response", "answer"),
    (r"based on the following", "from this"),
    (r"format your (?:response|answer|output) (?:in|as) json(?: format)?", "answer in JSON"),
    (r"use markdown formatting", "use markdown"),
    (r"keep (?:your (?:response|answer)|it) (?:short and )?concise", "be concise"),
    (r"information", "info"),
    (r"documentation", "docs"),
    (r"for example", "e.g."),
    (r"approximately", "about"),
)
_NEGATION: Final = (
    r"(?:not|never|no|nor|none|nothing|without|hardly|cannot|only|but|\p{L}+n['\u2019]t)"
)
_START = r"(?:(?:^|[.!?:\n]|[-*])\s*)"


def drop_fillers(text: str) -> str:
    """Courtesy and filler words go; stock phrases get their short form."""
    return _apply(text, _FILLER_RULES)


def abbreviate(text: str) -> str:
    """Long instructions and words get their usual short form."""
    return _apply(text, _SHORT_RULES)


def _compile(pairs: tuple[tuple[str, str], ...]) -> list[tuple["regex.Pattern[str]", str]]:
    compiled = []
    for phrase, short in pairs:
        lower = f"(?:{phrase})"
        compiled.append(
            (
                regex.compile(
                    rf"(?<!\b{_NEGATION}\W{{1,3}})(?<![\w'\u2019-])(?i:{lower})(?![\w'\u2019-])"
                    rf"(?!\W{{1,3}}{_NEGATION}\b),?"
                ),
                short,
            )
        )
    return compiled


_FILLER_RULES = _compile(_PHRASES)
_SHORT_RULES = _compile(_ABBREVIATIONS)


def _apply(text: str, rules: list[tuple["regex.Pattern[str]", str]]) -> str:
    if is_json(text):
        return text
    while True:  # what one rule leaves may be another's; each round makes the text shorter
        done = "".join(
            _reword(piece, rules) if free else piece for piece, free in outside(text, LITERAL)
        )
        if len(done) >= len(text):
            return text
        text = done


def _reword(piece: str, rules: list[tuple["regex.Pattern[str]", str]]) -> str:
    for pattern, short in rules:
        start = 0
        while (found := pattern.search(piece, start)) is not None:
            start = found.start() + 1
            changed = _replace(piece, found.start(), found.end(), short)
            if changed is not None and len(changed) < len(piece):
                piece = changed  # the piece goes on shorter
    return piece


def _replace(piece: str, start: int, end: int, short: str) -> str | None:
    """The piece with one phrase reworded; None where it may be a name or stands alone."""
    before, phrase, after = piece[:start], piece[start:end], piece[end:]
    begins = regex.search(rf"{_START}$", before) is not None
    shouted = phrase[1:] != phrase[1:].lower() and "json" not in phrase.lower()
    if shouted or (phrase[0].isupper() and not begins and not phrase.startswith("I ")):
        return None
    if short:
        if phrase[0].isupper():
            short = short[0].upper() + short[1:]
        return before + short + ("," if phrase.endswith(",") else "") + after
    rest = after.lstrip(" ")
    if not rest or not rest[0].isalpha() or len(after) == len(rest):
        return None  # nothing follows that could stand in its place
    if not phrase[0].isupper():
        return None if phrase.endswith(",") and not begins else before + rest
    if rest[0].isupper():
        return None  # "Please Release Me": a name, or nobody knows
    return before + rest[0].upper() + rest[1:]
