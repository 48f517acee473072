"""Which rows can be read for good."""

from services.ledger.insight.gather import settled_prefix


def _prefix(*numbers: tuple[int, int], place: int = 0) -> int:
    return settled_prefix(numbers, place, now_us=100, gap_us=50)


def test_rows_without_a_gap_are_taken() -> None:
    """However new they are."""
    assert _prefix((1, 100), (2, 100), (3, 100)) == 3


def test_a_new_gap_is_waited_for() -> None:
    """The row may still be on its way into the books."""
    assert _prefix((1, 100), (3, 100), (4, 100)) == 1
    assert _prefix((5, 100), place=3) == 0


def test_an_old_gap_is_none() -> None:
    """Its transaction failed long ago."""
    assert _prefix((1, 10), (3, 50), (4, 100)) == 3
