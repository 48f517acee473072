"""Whether two texts with the same words say them in an order that means the same.

"Madrid to Lisbon" and "Lisbon to Madrid" share every word. Three readings are compared: which
preposition governs each shared word, which shared words change places, and, where two texts are
one another with two pieces exchanged, what stands between the pieces.
"""

from itertools import combinations, pairwise

from services.cache.semantic.guards.lexicon import FUNCTION, JOINING, PREPOSITIONS, words_of
from services.cache.semantic.guards.reading import Reading, stem

SHARED_MIN = 0.7
"""Share of the content words both texts must have before their order is compared."""
CONTENT_WORDS_MIN = 3
PIECE_WORDS_MAX = 6
TOKENS_MAX = 80
GOVERNED_WORDS_MAX = 3
ONE_WAY = words_of("from to into onto than before after over under by toward towards against minus")
_LIKE = {"into": "to", "onto": "to", "towards": "to", "toward": "to", "via": "through"}
_OPENERS = PREPOSITIONS | frozenset({"when", "while", "if", "because", "since", "please", ","})


def order_agrees(a: Reading, b: Reading) -> bool:
    """False where the words are shared and their order changes who does what to whom."""
    if len(a.tokens) > TOKENS_MAX or len(b.tokens) > TOKENS_MAX:
        return True
    if a.tokens == b.tokens:
        return True
    if _turned_round(a, b) or _counts_turned(a, b):
        return False
    swap = _exchange(a.tokens, b.tokens)
    if swap is not None:
        return swap
    return _roles_agree(a, b)


def _turned_round(a: Reading, b: Reading) -> bool:
    """What one text comes right from, the other goes right to."""
    from_a, to_a = _right_after(a, "from"), _right_after(a, "to")
    from_b, to_b = _right_after(b, "from"), _right_after(b, "to")
    return not (from_a - to_a).isdisjoint(to_b - from_b) or not (
        (to_a - from_a).isdisjoint(from_b - to_b)
    )


def _right_after(text: Reading, preposition: str) -> set[str]:
    return {
        stem(word)
        for before, word in pairwise(text.tokens)
        if _LIKE.get(before, before) == preposition and word not in FUNCTION
    }


def _counts_turned(a: Reading, b: Reading) -> bool:
    """ "30 stone in grams" and "30 grams in stone": another of the shared words is counted."""
    counted_a, counted_b = _counted(a), _counted(b)
    for number, word in counted_a.items():
        other = counted_b.get(number, word)
        if other != word and other in a.stems and word in b.stems:
            return True
    return False


def _counted(text: Reading) -> dict[str, str]:
    return {
        number: stem(word)
        for number, word in pairwise(text.tokens)
        if number[0].isdigit() and word.isalpha() and word not in FUNCTION
    }


def _exchange(a: tuple[str, ...], b: tuple[str, ...]) -> bool | None:
    """Whether an exchange of two pieces is harmless; None where the texts are no such exchange."""
    a, b = _bare(a), _bare(b)
    if sorted(a) != sorted(b):
        return None
    start = 0
    while start < len(a) and a[start] == b[start]:
        start += 1
    if start == len(a):
        return True
    end = 0
    while end < len(a) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    one, two = a[start : len(a) - end], b[start : len(b) - end]
    for left in range(1, min(PIECE_WORDS_MAX, len(one) - 1) + 1):
        for right in range(1, min(PIECE_WORDS_MAX, len(one) - left) + 1):
            if one[:left] == two[-left:] and one[-right:] == two[:right]:
                between = one[left : len(one) - right]
                if between == two[right : len(two) - left]:
                    return _harmless(
                        a[:start], one[:left], between, one[-right:], a[len(a) - end :]
                    )
    return None


def _bare(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(t for t in tokens if t[0].isalnum())


def _harmless(
    before: tuple[str, ...],
    one: tuple[str, ...],
    between: tuple[str, ...],
    two: tuple[str, ...],
    after: tuple[str, ...],
) -> bool:
    if not between:
        # A piece moved as a whole: "in France, who rules" and "who rules in France".
        opens = one[0] in _OPENERS or two[0] in _OPENERS or not before
        return opens or all(map(_adverb, one)) or all(map(_adverb, two))
    if between in (("with",), ("to",)):
        return "compare" in before or "compared" in before
    return _joined(between, (*one, *two, *after[: len(between)]))


def _joined(between: tuple[str, ...], known: tuple[str, ...]) -> bool:
    """Only "and", "or" and words said again ("short circuit and open circuit") between them."""
    loose = [t for t in between if t not in FUNCTION or t in ONE_WAY or t == "but"]
    loose = [t for t in loose if t not in known]
    return not loose and any(t in JOINING for t in between)


def _roles_agree(a: Reading, b: Reading) -> bool:
    places_a, places_b = _places(a), _places(b)
    shared = [word for word in places_a if word in places_b]
    widest = max(len(places_a), len(places_b))
    if len(shared) < 2:
        return True
    rules_a, rules_b = _governors(a), _governors(b)
    full = len(shared) >= SHARED_MIN * widest and len(shared) >= CONTENT_WORDS_MIN
    moved = _one_piece_moved(shared, places_b)
    passive = ("by" in a.words) != ("by" in b.words)
    for one, two in combinations(shared, 2):
        turned = (places_a[one] < places_a[two]) != (places_b[one] < places_b[two])
        first, second = rules_a.get(one, ""), rules_a.get(two, "")
        third, fourth = rules_b.get(one, ""), rules_b.get(two, "")
        if _crossed(first, second, third, fourth):
            return False
        if full and passive and not turned and _subject_became_agent(first, second, third, fourth):
            return False
        if full and turned and not (passive or moved) and (first, second) == (third, fourth):
            if first != second or _near_join(a, one, two) or _near_join(b, one, two):
                continue
            if _adverb(one) or _adverb(two) or one.isdigit() or two.isdigit():
                continue
            if one in a.possessive | b.possessive or two in a.possessive | b.possessive:
                continue
            return False
    return True


def _one_piece_moved(shared: list[str], places_b: dict[str, int]) -> bool:
    """One run of words stands elsewhere and all else is in order: a fronted phrase, no swap."""
    ranks = sorted(range(len(shared)), key=lambda n: places_b[shared[n]])
    start, end = 0, len(ranks)
    while start < end and ranks[start] == start:
        start += 1
    while end > start and ranks[end - 1] == end - 1:
        end -= 1
    middle = ranks[start:end]
    turn = middle.index(start) if middle else 0
    return middle[turn:] + middle[:turn] == list(range(start, end))


def _crossed(first: str, second: str, third: str, fourth: str) -> bool:
    """The words changed roles: what one text goes from, the other goes to."""
    if first == second or (first, second) != (fourth, third):
        return False
    return bool({first, second} & ONE_WAY)


def _subject_became_agent(first: str, second: str, third: str, fourth: str) -> bool:
    now = {(first, third), (second, fourth)}
    return ("", "by") in now or ("by", "") in now


def _places(text: Reading) -> dict[str, int]:
    """Where each content word is that occurs once."""
    found: dict[str, int] = {}
    doubled = set()
    for place, token in enumerate(text.tokens):
        if token in FUNCTION or not token[0].isalnum():
            continue
        word = stem(token)
        if word in found:
            doubled.add(word)
        found[word] = place
    return {word: place for word, place in found.items() if word not in doubled}


def _governors(text: Reading) -> dict[str, str]:
    """The preposition each content word stands under, "" for none."""
    found: dict[str, str] = {}
    ruling, left = "", 0
    for token in text.tokens:
        if token in PREPOSITIONS:
            ruling, left = _LIKE.get(token, token), GOVERNED_WORDS_MAX
        elif token in FUNCTION or not token[0].isalnum():
            if token in ("and", "or", "&") or token in ("the", "a", "an", "my", "your"):
                continue
            ruling = ""
        else:
            if left == 0:
                ruling = ""
            word = stem(token)
            found[word] = ruling or ("of" if word in text.possessive else "")
            left -= 1
    return found


def _near_join(text: Reading, one: str, two: str) -> bool:
    """Joined by "and", "or" or a comma with little else between."""
    stems = [stem(t) for t in text.tokens]
    first, second = sorted((stems.index(one), stems.index(two)))
    between = text.tokens[first + 1 : second]
    return any(t in JOINING for t in between) and (
        sum(t not in FUNCTION and t not in JOINING for t in between) <= 2
    )


def _adverb(word: str) -> bool:
    return word.endswith("ly") or word in ("together", "again", "online", "free", "now", "better")
