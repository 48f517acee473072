"""When two ways to type a question are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cache.prose import CaseFolding, fold, settle
from services.cache.safe_names import NAMES


def same(one: str, other: str, folding: CaseFolding, *around: str) -> bool:
    first, second = (fold(settle(text), folding, lambda: around) for text in (one, other))
    return first == second


SAME = [
    ("What is the capital of France?", "what is the capital of france?"),
    ("What is the capital of France?", "  What is the   capital of France? \n"),
    ("What is the capital of France?", "What is\tthe capital of\u00a0France?"),
    ("Can I pay in June?", "can i pay in june?"),
    ("I'd like a refund", "i'd like a refund"),
    ("Is it open? When does it close?", "is it open? when does it close?"),
    ("Order #1234 hasn't arrived", "order #1234  hasn't arrived"),
    ("Où est la gare?", "Où est la  gare?"),
    ("Caf\u00e9 in Paris near me", "Cafe\u0301 in paris near me"),
    ("one\r\ntwo", "one\ntwo"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_question_typed_in_two_ways(one: str, other: str) -> None:
    """White space, line ends, composition, first letters and plain names make no difference."""
    assert same(one, other, CaseFolding.SAFE)


NEAR_MISSES = [
    # A capital that carries the meaning.
    ("Is Polish hard to learn?", "Is polish hard to learn?"),
    ("How do I get to Turkey from here?", "How do I get to turkey from here?"),
    ("Where is the nearest Apple shop?", "Where is the nearest apple shop?"),
    ("What does US mean?", "What does us mean?"),
    ("Is IT included?", "Is it included?"),
    ("Is my iPhone covered?", "Is my iphone covered?"),
    ("Who wrote Frozen again?", "Who wrote frozen again?"),
    ("Do I take vitamin B now?", "Do I take vitamin b now?"),
    ("Is 5 mW enough here?", "Is 5 MW enough here?"),
    ("Ask Mr. Brown about it", "ask mr. brown about it"),
    ("Polish", "polish"),
    ("What is getUser for?", "what is getuser for?"),
    # Spaces and breaks that carry the meaning.
    ("if x:\n    y()", "if x:\n  y()"),
    ("print `a  b` now", "print `a b` now"),
    ('is "a  b" valid?', 'is "a b" valid?'),
    ("label: a  b", "label: a b"),
    ("x = 'A  b' here", "x = 'A b' here"),
    # Other words, numbers, marks.
    ("How do I enable it?", "How do I disable it?"),
    ("Revenue in 2024 please", "Revenue in 2025 please"),
    ("Is it open", "Is it open?"),
    ("What is 1 1 plus 2", "What is 11 plus 2"),
    ("résumé tips please now", "resume tips please now"),
]


@pytest.mark.parametrize("folding", [CaseFolding.OFF, CaseFolding.SAFE])
@pytest.mark.parametrize(("one", "other"), NEAR_MISSES)
def test_what_only_looks_the_same(one: str, other: str, folding: CaseFolding) -> None:
    """A difference that may change the answer stays one."""
    assert not same(one, other, folding)


@pytest.mark.parametrize(
    "instruction",
    ["Correct the grammar of what you get.", "Count the letters.", "Turn it to Title Case."],
)
@pytest.mark.parametrize("folding", list(CaseFolding))
def test_where_form_is_the_matter_nothing_is_folded(instruction: str, folding: CaseFolding) -> None:
    """A system prompt about spelling or letters makes case and spaces count."""
    assert not same("I went to London", "i went to london", folding, instruction)
    assert not same("I went to London", "I went  to London", folding, instruction)


def test_off_means_off() -> None:
    """With folding off the first letter's case counts."""
    assert not same("What is the capital of France?", "what is it?", CaseFolding.OFF)
    assert not same("Where is the station?", "where is the station?", CaseFolding.OFF)


def test_all_means_all_in_plain_text_only() -> None:
    """With "all", capitals never count, except beside code and quotes."""
    assert same("WHERE IS MY ORDER?", "where is my order?", CaseFolding.ALL)
    assert not same("What does `US` mean?", "What does `us` mean?", CaseFolding.ALL)


def test_a_long_text_is_left_alone() -> None:
    """Texts over a thousand characters are not plain questions."""
    assert not same("What is it? " + "x" * 1000, "what is it? " + "x" * 1000, CaseFolding.SAFE)


def test_names_are_lower_case_and_without_double_meaning() -> None:
    """The list holds no word that means something else in lower case."""
    doubtful = {"may", "march", "august", "turkey", "china", "chad", "polish", "nice", "reading"}
    assert not NAMES & doubtful
    assert all(name == name.lower() and name.isalpha() for name in NAMES)


@given(st.text(max_size=80), st.sampled_from(CaseFolding))
def test_folding_changes_nothing_but_case_and_runs_of_spaces(
    text: str, folding: CaseFolding
) -> None:
    """Whatever is folded, the letters, digits and marks that are left are the same."""
    settled = settle(text)
    folded = fold(settled, folding, lambda: ())
    assert "".join(folded.lower().split()) == "".join(settled.lower().split())


@given(st.text(max_size=80), st.sampled_from(CaseFolding))
def test_folding_twice_is_folding_once(text: str, folding: CaseFolding) -> None:
    """A text that was folded is its own form, so that it finds what the first one stored."""
    once = fold(settle(text), folding, lambda: ())
    assert fold(settle(once), folding, lambda: ()) == once
