"""When two ways to type a question are the same question.

Every text of a system, developer or user message is brought to NFC, to LF line ends, and
stripped at its ends. The last user message, if it is plain (one line, nothing quoted, no code,
no "label: text"), also has its runs of spaces made one, and its case folded as the operator
allows:

off   never.
safe  only where a capital says nothing: the first letter of a sentence, "I", and names whose
      lower-case form has no other meaning ("france", "monday"; not "turkey", "may", "polish").
      Words in capitals ("US", "IT") and mixed case ("iPhone") stay as they are.
all   every letter. "US" and "us" become one: for sources that are typed without care.

A conversation that speaks about the form of texts (letters, spelling, spaces, editing) is
never folded: there the form is the matter.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from enum import StrEnum

from services.cache.safe_names import NAMES

PLAIN_CHARS_MAX = 1_000
# "Polish" alone is not "polish"; in a sentence the first letter is a matter of typing.
FOLDED_WORDS_MIN = 3

# What makes a text more than prose: line breaks and control characters, quotes, code, labels,
# an apostrophe at the edge of a word.
_NOT_PLAIN = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029`\"“”„«»‹›{}\[\]<>=\\|_;:^~]"
    r"|(?<!\w)['’‘‚]|['’‘‚](?!\w)"
)
_SPACES = re.compile(r"[ \t\u00a0]+")
_WORD = re.compile(r"(?P<word>[A-Za-z]+)(?P<rest>(?:['’][a-z]+)?[.,?!]*)")

# Lower-case pieces of words by which a conversation speaks about form.
_FORM_WORDS = (
    "abbreviat", "acronym", "anagram", "capitalis", "capitaliz", "case sensitive",
    "case-sensitive", "character", "correct", " edit", "grammar", "indent", "letter",
    "lower case", "lower-case", "lowercase", "password", "proofread", "punctuat", "regex",
    "rephrase", "rewrite", "spacing", "spell", "title case", "typo", "upper case", "upper-case",
    "uppercase", "verbatim", "whitespace",
)  # fmt: skip


class CaseFolding(StrEnum):
    """How far letters' case may be ignored in the last user message."""

    OFF = "off"
    SAFE = "safe"
    ALL = "all"


def settle(text: str) -> str:
    """`text` in NFC, with LF line ends, stripped of white space at both ends."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.strip()


def fold(text: str, folding: CaseFolding, around: Callable[[], Iterable[str]]) -> str:
    """The settled `text` of a last user message, folded as far as is safe.

    `around` gives the other texts of the conversation; it is called only when folding would
    change something.
    """
    if len(text) > PLAIN_CHARS_MAX or _NOT_PLAIN.search(text):
        return text
    folded = _SPACES.sub(" ", text)
    if folding is CaseFolding.ALL:
        folded = folded.lower()
    elif folding is CaseFolding.SAFE:
        folded = _fold_safely(folded)
    if folded == text or _is_about_form(text) or any(map(_is_about_form, around())):
        return text
    return folded


def _fold_safely(text: str) -> str:
    words = text.split(" ")
    if len(words) < FOLDED_WORDS_MIN:
        return text
    begins = True
    for place, word in enumerate(words):
        found = _WORD.fullmatch(word)
        if found is not None and _capital_says_nothing(found["word"], begins):
            words[place] = found["word"].lower() + found["rest"]
        # Not after a full stop: it also ends "Mr." and "St.".
        begins = word.endswith(("?", "!"))
    return " ".join(words)


def _capital_says_nothing(word: str, begins: bool) -> bool:
    if word == "I":
        return True
    if not word[0].isupper() or (len(word) > 1 and not word[1:].islower()):
        return False
    if begins:
        return len(word) > 1 or word == "A"
    return word.lower() in NAMES


def _is_about_form(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in _FORM_WORDS)
