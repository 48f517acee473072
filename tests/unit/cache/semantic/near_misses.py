"""Prompts that look alike and mean something else, and rewordings, made of templates that no
training saw (services/cache/semantic/training/families.txt has others)."""

from itertools import product

_CITIES = ("Ghent", "Leeds", "Porto", "Turin")
_TOOLS = ("Emacs", "Blender", "Inkscape", "Thunderbird")
_NEAR = (
    ("How tall is the tower in {x}?", "How old is the tower in {x}?"),
    ("Where can I park near {x} station?", "Where can't I park near {x} station?"),
    ("Buses leaving {x} after 9 pm", "Buses leaving {x} before 9 pm"),
    ("Rent a van in {x} for 3 days", "Rent a van in {x} for 4 days"),
    ("Is the museum in {x} free?", "Is the museum in {x} worth it?"),
    ("Which trains go from {x} to Bern?", "Which trains go from Bern to {x}?"),
    ("Who was mayor of {x} in 1987?", "Who was mayor of {x} in 1978?"),
    ("Is {x} north of Lyon?", "Is Lyon north of {x}?"),
)
_NEAR_TOOLS = (
    ("How do I zoom in with {x}?", "How do I zoom out with {x}?"),
    ("How do I show hidden layers in {x}?", "How do I hide layers in {x}?"),
    ("Does {x} 2.8 run on ARM?", "Does {x} 2.9 run on ARM?"),
    ("Can {x} open files larger than 2 GB?", "Can {x} open files smaller than 2 GB?"),
    ("How do I export settings from {x}?", "How do I import settings into {x}?"),
    ("What does the -q flag of {x} do?", "What does the -v flag of {x} do?"),
    ("Speed up startup of {x}", "Slow down playback of {x}"),
    ("How do I undo a change in {x}?", "How do I redo a change in {x}?"),
)
_SAME = (
    ("How do I get to {x} by train?", "What is the way to {x} by train?"),
    ("What time is it in {x}?", "What's the time in {x}?"),
    ("What is {x} famous for?", "What is {x} known for?"),
    ("How many people live in {x}?", "What is the population of {x}?"),
)


def near_misses() -> list[tuple[str, str]]:
    """Pairs of which neither may be answered for the other."""
    found = []
    for names, pairs in ((_CITIES, _NEAR), (_TOOLS, _NEAR_TOOLS)):
        for name, (a, b) in product(names, pairs):
            found.append((a.format(x=name), b.format(x=name)))
        for one, two in product(names, names):
            if one != two:
                found += [(a.format(x=one), a.format(x=two)) for a, _ in pairs[:3]]
    return found


def rewordings() -> list[tuple[str, str]]:
    """Pairs that ask the same."""
    return [(a.format(x=name), b.format(x=name)) for name, (a, b) in product(_CITIES, _SAME)]
