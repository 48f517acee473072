"""The project's own labelled pairs, made from the families."""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

FILE = Path(__file__).with_name("families.txt")
SLOT = re.compile(r"\{([a-z]+)(\d?)\}")
PER_FAMILY = 110
HELD_EVERY = 12
SEED = 11

Slots = dict[tuple[str, str], str]
OPENERS = (
    "",
    "",
    "",
    "",
    "Please tell me: ",
    "Hi, ",
    "Quick question: ",
    "Hey, ",
    "Can you help me? ",
)
CLOSERS = ("", "", "", "", " Thanks!", " Thank you.", " please", " (short answer)")


def families() -> tuple[list[str], dict[str, list[str]]]:
    """The lines of wordings, and the slots' lists."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
    slots = dict(line[1:].split(" ", 1) for line in lines if line[0] == "@")
    values = {name: each.split("|") for name, each in slots.items()}
    return [line for line in lines if line[0] != "@"], values


SAME, VALUES = families()


def draw(names: Sequence[tuple[str, str]], rng: random.Random) -> Slots:
    """A value for each slot, two of one list never the same."""
    got: Slots = {}
    for name, number in names:
        taken = {v for k, v in got.items() if k[0] == name}
        got[(name, number)] = rng.choice([v for v in VALUES[name] if v not in taken])
    return got


def fill(template: str, got: Slots) -> str:
    """The template with its slots filled."""
    return SLOT.sub(lambda m: got[(m[1], m[2])], template)


def near(got: Slots, rng: random.Random) -> Slots:
    """One slot with another value; numbers and years often by a little."""
    key = rng.choice(list(got))
    taken = {v for k, v in got.items() if k[0] == key[0]}
    other = rng.choice([v for v in VALUES[key[0]] if v not in taken])
    if key[0] in ("year", "num") and rng.random() < 0.5:
        moved = str(max(1, int(got[key]) + rng.choice((-10, -2, -1, 1, 2, 3, 10))))
        other = moved if moved not in taken else other
    return {**got, key: other}


def exchanged(got: Slots, rng: random.Random) -> Slots | None:
    """Two values of one list changed round, or None."""
    lists = {k[0] for k in got if k[1] == "2"}
    if not lists:
        return None
    name = rng.choice(sorted(lists))
    return {**got, (name, "1"): got[(name, "2")], (name, "2"): got[(name, "1")]}


def dressed(text: str, rng: random.Random) -> str:
    """As people type: small letters, no question mark, a greeting."""
    draw_ = rng.random()
    if draw_ < 0.12:
        text = text.lower()
    elif draw_ < 0.2:
        text = text.rstrip("?.")
    elif draw_ < 0.26:
        text = rng.choice(OPENERS) + text[0].lower() + text[1:]
    elif draw_ < 0.32:
        text = text + rng.choice(CLOSERS)
    return text


def family(line: str, rng: random.Random) -> list[tuple[str, str, int, str]]:
    """(a, b, same, kind) of one line."""
    symmetric = line.startswith("<>")
    same, _, other = line.removeprefix("<>").partition("##")
    wordings = [w.strip() for w in same.split("|")]
    others = [w.strip() for w in other.split("|") if w.strip()]
    names = sorted({(m[1], m[2]) for m in SLOT.finditer(line)})
    pairs = set()
    for _ in range(PER_FAMILY):
        got = draw(names, rng)
        one, two = rng.choice(wordings), rng.choice(wordings)
        turned = exchanged(got, rng)
        if one != two:
            pairs.add((fill(one, got), fill(two, got), 1, "repeat"))
        if turned:
            # Straight swaps are the hardest; the other wording of a swap comes too.
            again = one if rng.random() < 0.6 else two
            pairs.add((fill(one, got), fill(again, turned), int(symmetric), "order"))
        if names and rng.random() < 0.5:
            again = one if rng.random() < 0.7 else two
            pairs.add((fill(one, got), fill(again, near(got, rng)), 0, "value"))
        if others and rng.random() < 0.6:
            pairs.add((fill(one, got), fill(rng.choice(others), got), 0, "intent"))
    return sorted(p for p in pairs if p[0].lower() != p[1].lower())


def own_pairs() -> Iterator[tuple[str, str, int, str]]:
    """(a, b, same, source); every 12th family is "own-held", to judge with."""
    rng = random.Random(SEED)  # noqa: S311
    for place, line in enumerate(SAME):
        source = "own-held" if place % HELD_EVERY == 5 else "own"
        for a, b, same, _ in family(line, rng):
            yield dressed(a, rng), dressed(b, rng), same, source
