"""Tests of two texts: each is True where they agree on one kind of detail."""

import re

from services.cache.semantic.guards.lexicon import HARD_NEGATIONS, SOFT_NEGATIONS
from services.cache.semantic.guards.reading import Reading, stem

TYPO_CHARS_MIN = 5
# "I do not know how to pay" asks how to pay; "why or why not" asks why.
_IDLE = re.compile(
    r"\b(?:not (?:know|sure|remember)|why not|or not|not only|not just|if not|what not)\b"
)


def numbers_agree(a: Reading, b: Reading) -> bool:
    """The same numbers, as often."""
    return sorted(a.numbers) == sorted(b.numbers)


def versions_agree(a: Reading, b: Reading) -> bool:
    """The same dotted numbers: 3.1 is not 3.10."""
    return a.versions == b.versions


def units_agree(a: Reading, b: Reading) -> bool:
    """The same units, or one text names none."""
    return not a.units or not b.units or a.units == b.units


def dates_agree(a: Reading, b: Reading) -> bool:
    """The same months, days of the week and "next year" words."""
    return a.dates == b.dates


def names_agree(a: Reading, b: Reading) -> bool:
    """Each text's names occur in the other, in any case, bar a typing error."""
    return (
        all(_has_name(b, name) for name in a.names)
        and all(_has_name(a, name) for name in b.names)
        and all(_has_acronym(b, name) for name in a.acronyms)
        and all(_has_acronym(a, name) for name in b.acronyms)
    )


def _has_name(text: Reading, name: str) -> bool:
    if name in text.words or stem(name) in text.stems or name in text.lower:
        return True
    return len(name) >= TYPO_CHARS_MIN and any(_one_edit(name, word) for word in text.words)


def _has_acronym(text: Reading, name: str) -> bool:
    if _has_name(text, name) or name.rstrip("s") in text.words:
        return True
    # "United States" for "us": the first letters of words in a row.
    first = "".join(word[0] for word in text.tokens if word.isalpha())
    return len(name) > 1 and name in first


def _one_edit(a: str, b: str) -> bool:
    if abs(len(a) - len(b)) > 1 or a[0] != b[0]:
        return False
    if len(a) > len(b):
        a, b = b, a
    for place, letter in enumerate(a):
        if letter != b[place]:
            if len(a) < len(b):
                return a[place:] == b[place + 1 :]
            swapped = a[place : place + 2] == b[place : place + 2][::-1]
            return a[place + 1 :] == b[place + 1 :] or (
                swapped and a[place + 2 :] == b[place + 2 :]
            )
    return True


def negation_agrees(a: Reading, b: Reading) -> bool:
    """Both say "not", or neither; "unable" and "broken" may stand for "not able", "not working"."""
    not_a, not_b = _negated(a), _negated(b)
    if not_a == not_b:
        return True
    other = b if not_a else a
    return any(word.startswith(SOFT_NEGATIONS) for word in other.words)


def _negated(text: Reading) -> bool:
    if text.words.isdisjoint(HARD_NEGATIONS):
        return False
    rest = _IDLE.sub(" ", " ".join(text.tokens)).split()
    return not HARD_NEGATIONS.isdisjoint(rest)


def questions_agree(a: Reading, b: Reading) -> bool:
    """Not "who" of one and "when" of the other. What asks with other words is left open."""
    if not a.questions or not b.questions or not a.questions.isdisjoint(b.questions):
        return True
    if "how" in a.questions | b.questions:
        # "how" with no measure asks for a way, as "where can I learn it" does.
        return (a.questions | b.questions).isdisjoint({"who", "when", "whose", "why"})
    return False


def comparisons_agree(a: Reading, b: Reading) -> bool:
    """Not "bigger than" of one and "as big as" of the other."""
    return not (_unlike(a) and _alike(b)) and not (_alike(a) and _unlike(b))


def _unlike(text: Reading) -> bool:
    return "than" in text.words


def _alike(text: Reading) -> bool:
    return text.tokens.count("as") > 1 and "than" not in text.words


def quotes_agree(a: Reading, b: Reading) -> bool:
    """What one text quotes occurs in the other."""
    return all(_says(b, q) for q in a.quoted) and all(_says(a, q) for q in b.quoted)


def _says(text: Reading, quote: str) -> bool:
    return quote in text.lower


def code_agrees(a: Reading, b: Reading) -> bool:
    """What looks like code in one text occurs in the other, letter for letter."""
    if a.code == b.code:
        return True
    return all(c in b.code or c.lower() in b.lower for c in a.code) and all(
        c in a.code or c.lower() in a.lower for c in b.code
    )


def ids_agree(a: Reading, b: Reading) -> bool:
    """The same addresses, paths and names with digits in them."""
    return all(i in b.lower for i in a.ids) and all(i in a.lower for i in b.ids)
