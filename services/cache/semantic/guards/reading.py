"""A text as the guards see it: words, stems, numbers, names and marked-up pieces, read once."""

import re
from dataclasses import dataclass
from itertools import pairwise

from services.cache.safe_names import NAMES
from services.cache.semantic.guards.lexicon import (
    ALIASES,
    DATES,
    FUNCTION,
    IRREGULAR,
    MONTHS_LIKE_WORDS,
    NUMBER_WORDS,
    UNITS,
    words_of,
)

TITLE_SHARE = 0.6
TITLE_WORDS_MIN = 4
STEM_CHARS_MIN = 4

_TOKEN = re.compile(
    r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d[\d,]*(?:[.:/\-]\d+)*[a-zA-Z]*|[$€£¥₹%&,?!.;:]", re.UNICODE
)
_QUOTED = re.compile(
    r"[\"“”«»„]([^\"“”«»„\n]{1,200})[\"“”«»„]|(?<!\w)['‘]([^'’\n]{1,200})['’](?!\w)"
)
_CODE = re.compile(
    r"`([^`\n]+)`|(?<![\w-])(--?[a-zA-Z][\w-]*)|\b(\w+\(\))|\b([a-zA-Z]\w*_\w+)|"
    r"\b([a-z]+[A-Z]\w*)|\b(\w+(?:::|\.)\w+\()|(?<!\w)([.#@][a-zA-Z]\w+)|\b([A-Za-z]\+\+|[A-Za-z]#)"
)
_ID = re.compile(
    r"https?://\S+|[\w.+-]+@[\w-]+\.[\w.]+|(?<![\w/])/[\w./-]+|\b[A-Z]:\\\S+|"
    r"#\w*\d\w*|\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])\w[\w-]+\b|\b\d{5,}\b"
)
_ORDINAL = re.compile(r"(\d+)(st|nd|rd|th)")
_SCALED = re.compile(r"(\d+(?:\.\d+)?)(k|m|bn|b)")
_SPELT = (
    (re.compile(r"\bunited states(?: of america)?\b", re.IGNORECASE), "US"),
    (re.compile(r"\bunited kingdom\b|\bgreat britain\b", re.IGNORECASE), "UK"),
    (re.compile(r"\b(War|Part|Type|Phase|Act|Volume|Chapter|Level|Grade) I\b"), r"\1 1"),
)
_VERSION = re.compile(r"\bv?\d+(?:\.\d+)+\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the guards compare. Tuples are in the order of the text."""

    lower: str
    tokens: tuple[str, ...]
    words: frozenset[str]
    content: tuple[str, ...]
    stems: frozenset[str]
    numbers: tuple[str, ...]
    units: frozenset[str]
    dates: frozenset[str]
    names: frozenset[str]
    acronyms: frozenset[str]
    quoted: frozenset[str]
    code: frozenset[str]
    ids: frozenset[str]
    versions: frozenset[str]
    questions: frozenset[str]
    possessive: frozenset[str]


def stem(word: str) -> str:
    """A word without its commonest endings: enough to hold "cancel" and "cancelled" together."""
    if len(word) <= STEM_CHARS_MIN - 1 or not word.isalpha():
        return word
    word = IRREGULAR.get(word, word)
    for ending, put in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", "e"),
        ("s", ""),
    ):
        if word.endswith(ending) and not word.endswith(("ss", "us", "is")):
            base = word[: -len(ending)]
            if len(base) < 3 or (ending in ("ing", "ed") and not _has_vowel(base)):
                continue
            word = base + put
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "sle":
        word = word[:-1]
    if len(word) > STEM_CHARS_MIN and word.endswith(("e", "l")) and not word.endswith("ee"):
        word = word[:-1] if word.endswith("e") or word.endswith("ll") else word
    return word


def _has_vowel(text: str) -> bool:
    return any(letter in "aeiouy" for letter in text)


def read(text: str) -> Reading:
    """Reads a text. Pure, some 30 us for a short question."""
    plain = text.replace("’", "'").replace("‘", "'")
    for spelt, put in _SPELT:
        plain = spelt.sub(put, plain)
    raw = _TOKEN.findall(plain)
    tokens, possessive = _lowered(raw)
    words = frozenset(tokens)
    content = tuple(stem(t) for t in tokens if t not in FUNCTION and (t[0].isalnum()))
    numbers = _numbers(tokens)
    names, acronyms = _names(raw)
    return Reading(
        lower=plain.lower(),
        tokens=tuple(tokens),
        words=words,
        content=content,
        stems=frozenset(content) | frozenset(stem(t) for t in tokens if t.isalpha()),
        numbers=numbers,
        units=_units(tokens),
        dates=_dates(tokens),
        names=names,
        acronyms=acronyms,
        quoted=frozenset((m[1] or m[2]).strip().lower() for m in _QUOTED.finditer(plain)),
        code=frozenset(next(filter(None, m.groups())) for m in _CODE.finditer(plain)),
        ids=frozenset(m[0].rstrip(".,?!;:").lower() for m in _ID.finditer(plain)),
        versions=frozenset(m[0].lower().lstrip("v") for m in _VERSION.finditer(plain)),
        questions=_questions(tokens),
        possessive=possessive,
    )


def _lowered(raw: list[str]) -> tuple[list[str], frozenset[str]]:
    out: list[str] = []
    owners = set()
    for token in raw:
        word = token.lower()
        if word.endswith("n't") or word in ("cannot", "can't"):
            out += ["do", "not"]
        elif "'" in word:
            head, _, tail = word.partition("'")
            if tail == "s":
                owners.add(stem(head))
            out.append(ALIASES.get(head, head))
        else:
            out.append(ALIASES.get(word, word))
    return out, frozenset(owners)


def _numbers(words: list[str]) -> tuple[str, ...]:
    found = []
    for place, word in enumerate(words):
        if word[0].isdigit():
            found.append(_number(word))
        elif word in NUMBER_WORDS:
            found.append(NUMBER_WORDS[word])
        elif word == "one" and words[place + 1 : place + 2] and words[place + 1] in UNITS:
            found.append("1")
    return tuple(found)


_SHORT_UNITS = {
    "second": "seconds", "s": "seconds", "m": "meter", "h": "hour", "g": "gram", "l": "liter",
    "c": "celsius", "f": "fahrenheit", "in": "inch",
}  # fmt: skip


def _units(tokens: list[str]) -> frozenset[str]:
    found = {UNITS[t] for t in tokens if t in UNITS}
    for before, token in pairwise(tokens):
        if token in _SHORT_UNITS and before[0].isdigit():
            found.add(_SHORT_UNITS[token])
    return frozenset(found)


def _number(token: str) -> str:
    plain = token.replace(",", "")
    scaled = _SCALED.fullmatch(plain)
    if scaled and "." not in scaled[1]:
        zeros = {"k": 3, "m": 6, "b": 9, "bn": 9}[scaled[2]]
        return scaled[1] + "0" * zeros
    ordinal = _ORDINAL.fullmatch(plain)
    if ordinal:
        return plain
    return plain.rstrip("abcdefghijklmnopqrstuvwxyz") or plain


_SPANS = words_of("week month year night weekend quarter season")
_WHICH = words_of("next last this previous coming past")
_BEFORE_MONTH = words_of("in of on last next during until since by this")


def _dates(tokens: list[str]) -> frozenset[str]:
    found = {DATES[t] for t in tokens if t in DATES}
    for before, word, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if word in MONTHS_LIKE_WORDS and (before in _BEFORE_MONTH or after[:1].isdigit()):
            found.add(word)
        elif word in _WHICH and (after in _SPANS or after in DATES):
            found.add(f"{word} {after}")
    return frozenset(found)


def _names(raw: list[str]) -> tuple[frozenset[str], frozenset[str]]:
    letters = [w for w in raw if w[0].isalpha()]
    capitals = sum(1 for w in letters if w[0].isupper() and len(w) > 1)
    titled = len(letters) >= TITLE_WORDS_MIN and capitals > TITLE_SHARE * len(letters)
    shouted = len(letters) > 1 and sum(w.isupper() for w in letters) > TITLE_SHARE * len(letters)
    names: set[str] = set()
    acronyms = set()
    begins = True
    for word in raw:
        if word[0].isalpha():
            low = word.lower().removesuffix("'s")
            low = ALIASES.get(low, low)
            bare = word.removesuffix("'s")
            if low in NAMES:
                names.add(low)
            elif len(bare) > 1 and bare.isupper() and not shouted:
                acronyms.add(low)
            elif word[0].isupper() and "'" not in bare and not (begins or titled or shouted):
                known = low in FUNCTION or low in DATES or low in UNITS
                names |= set() if known else {low}
        begins = word in ".?!:;" if len(word) == 1 else False
    return frozenset(names), frozenset(acronyms)


_ASKS = {
    "who": "who", "whom": "who", "whose": "whose", "when": "when", "where": "where", "why": "why",
}  # fmt: skip
_MOMENTS = words_of("date birthday birthdate")
_AMOUNTS = words_of(
    "many much long far often old tall big large fast deep heavy soon late high hot cold"
)


def _questions(tokens: list[str]) -> frozenset[str]:
    """What is asked for: "who", "how", "how many"... Empty for "what", which may ask anything."""
    found = set()
    for place, word in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) else ""
        if word == "how":
            until = tokens[place + 2 : place + 3] in (["until"], ["till"], ["before"])
            if after == "come":
                found.add("why")
            elif after == "soon" or (after == "long" and until):
                found.add("when")
            else:
                found.add("how " + after if after in _AMOUNTS else "how")
        elif word in _ASKS:
            found.add(_ASKS[word])
        elif word in ("what", "which") and not found:
            break
    if not found and not _MOMENTS.isdisjoint(tokens):
        return frozenset({"when"})
    return frozenset(found)
