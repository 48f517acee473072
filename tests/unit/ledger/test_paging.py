"""Page tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.paging import PageTokens, page_size
from services.ledger.rules.refusals import PageInvalid

PAGES = PageTokens(b"pepper of a test")


@given(st.binary(), st.lists(st.integers(-(2**63), 2**63) | st.text(), max_size=3))
def test_a_token_leads_back_to_its_place(question: bytes, place: list[int | str]) -> None:
    """Any numbers and texts."""
    assert PAGES.place(question, PAGES.token(question, place)) == place


def test_a_token_of_another_question_or_service_is_refused() -> None:
    """Nor one that was changed, nor nonsense."""
    token = PAGES.token(b"tenant a", ["x"])
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    strange = ["nonsense", "ü", "=", "a" * 5000, flipped, PAGES.token(b"tenant b", ["x"])]
    for bad in [*strange, PageTokens(b"another pepper").token(b"tenant a", ["x"])]:
        with pytest.raises(PageInvalid) as caught:
            PAGES.place(b"tenant a", bad)
        assert caught.value.field == "page_token"


def test_no_token_is_the_first_page() -> None:
    """An empty string starts at the beginning."""
    assert PAGES.place(b"q", "") is None


def test_page_sizes_have_a_default_and_an_end() -> None:
    """0 asks for the default; what is beyond the limit is refused, not cut."""
    assert page_size(0, default=50, most=200) == 50
    assert page_size(200, default=50, most=200) == 200
    for bad in (-1, 201):
        with pytest.raises(PageInvalid) as caught:
            page_size(bad, default=50, most=200)
        assert caught.value.field == "page_size"
