"""Makes the project's own labelled pairs from the families: `python own_pairs.py > own.jsonl`."""

import json
import random
import re
import sys

from families import SAME, SLOTS

VALUES = {name: values.split("|") for name, values in SLOTS.items()}
SLOT = re.compile(r"\{([a-z]+)(\d?)\}")
PER_FAMILY = 110
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


def draw(names, rng):
    """A value for each slot, two of one list never the same."""
    got = {}
    for name, number in names:
        taken = {v for k, v in got.items() if k[0] == name}
        got[(name, number)] = rng.choice([v for v in VALUES[name] if v not in taken])
    return got


def fill(template, got):
    """The template with its slots filled."""
    return SLOT.sub(lambda m: got[(m[1], m[2])], template)


def near(got, rng):
    """One slot with another value; numbers and years often by a little."""
    key = rng.choice(list(got))
    taken = {v for k, v in got.items() if k[0] == key[0]}
    other = rng.choice([v for v in VALUES[key[0]] if v not in taken])
    if key[0] in ("year", "num") and rng.random() < 0.5:
        moved = str(max(1, int(got[key]) + rng.choice((-10, -2, -1, 1, 2, 3, 10))))
        other = moved if moved not in taken else other
    return {**got, key: other}


def exchanged(got, rng):
    """Two values of one list changed round, or None."""
    lists = {k[0] for k in got if k[1] == "2"}
    if not lists:
        return None
    name = rng.choice(sorted(lists))
    return {**got, (name, "1"): got[(name, "2")], (name, "2"): got[(name, "1")]}


def dressed(text, rng):
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


def family(line, rng):
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


def main():
    """Writes JSON lines; every 12th family is held out to judge with."""
    rng = random.Random(11)
    for place, line in enumerate(SAME):
        source = "own-held" if place % 12 == 5 else "own"
        for a, b, same, kind in family(line, rng):
            row = {"a": dressed(a, rng), "b": dressed(b, rng), "same": same, "kind": kind}
            sys.stdout.write(json.dumps({**row, "source": source}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
