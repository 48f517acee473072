import pytest

from services.cache.semantic.align import align
from services.cache.semantic.wordpiece import WordPiece

PIECES = WordPiece.shipped()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("What's the capital of France?", [2054, 1005, 1055, 1996, 3007, 1997, 2605, 1029]),
        ("D\xe9j\xe0 vu: na\xefve CAF\xc9", [2139, 3900, 24728, 1024, 15743, 7668]),
        ("\u20ac1 fee, 76\xb025\u2032n", [1574, 2487, 7408, 1010, 6146, 7737, 17788, 1531, 1050]),
        ("\u4f60\u597d world", [100, 100, 2088]),
        ("don't_stop-it\u2026", [2123, 1005, 1056, 1035, 2644, 1011, 2009, 1529]),
        (
            "Antidisestablishmentarianism!!",
            [3424, 10521, 4355, 7875, 13602, 3672, 12199, 2964, 999, 999],
        ),
        ("x\u200dy\xad z\tq", [1060, 2100, 1062, 1053]),
        ("\u0130stanbul", [9960]),
        ("", []),
    ],
)
def test_the_ids_are_those_minilm_was_trained_with(text: str, ids: list[int]) -> None:
    """Recorded from the tokenizers library 0.23.3 with MiniLM's own tokenizer.json."""
    assert PIECES.ids(text, 512) == ids


def test_a_long_text_is_cut() -> None:
    """No more pieces than asked for, and the first ones."""
    whole = PIECES.ids("one two three four five", 512)
    assert PIECES.ids("one two three four five", 3) == whole[:3]


def test_pieces_shared_in_order_and_out_of_it() -> None:
    """Madrid and Lisbon change places: one of them is out of order, the frame is in order."""
    assert align([1, 2, 7, 3, 8], [1, 2, 8, 3, 7]) == ([1, 1, 2, 2, 1], [1, 1, 1, 2, 2])
    assert align([1, 2], [3, 4]) == ([0, 0], [0, 0])
    assert align([], [1]) == ([], [0])
    assert align([5, 6], [5, 6]) == ([1, 1], [1, 1])
