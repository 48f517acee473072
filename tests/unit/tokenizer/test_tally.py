from services.tokenizer.estimate import Script
from services.tokenizer.meter import Tally


def message(times: int) -> Tally:
    """Something of everything that a message can hold."""
    tally = Tally()
    tally.add(3 * times, 200)
    tally.add_media(85 * times, 50)
    weights = {Script.LATIN: 500, Script.CJK: 300, Script.OTHER: 200}
    tally.add_text(120 * times, 150, 100 * times, weights)
    tally.doubt(times)
    return tally


def test_what_is_taken_away_was_never_there() -> None:
    """Of all sums: tokens, bounds, and what they are made of. A copy stands apart."""
    sums, one, other = Tally(), message(1), message(7)
    sums.include(one)
    before = sums.copy()
    sums.include(other)
    assert all(getattr(sums, slot) >= getattr(before, slot) for slot in Tally.__slots__)
    assert sums.tokens > before.tokens
    sums.exclude(other)
    for slot in Tally.__slots__:
        assert getattr(sums, slot) == getattr(before, slot) == getattr(one, slot), slot
