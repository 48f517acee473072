import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidFields
from services.tokenizer.texts import graphemes, sentences
from services.tokenizer.texts.truncate import Boundary, Side, Wanted, tally_of, truncate

MARKER = "\n[\u2026]\n"
# Every plane, with what joins, combines, pairs up and splits.
CHARS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(
        "ab .,\n\r\t\u0301\u200d\U0001f468\U0001f1e9\U0001f1eb\u0915\u094d\u1100\u1161"
    ),
    st.sampled_from("你好。！안녕مرحبا\u0600\U00020000\U000e0100\U0010ffff"),
)
TEXTS = st.one_of(
    st.text(CHARS, max_size=120),
    st.lists(st.sampled_from(["Hello there. ", "So it is! ", "Zeile\n", "你好。"])).map("".join),
)
CHOICES = [(side, boundary) for side in Side for boundary in Boundary]
MODELS = ["gpt-4o", "gpt-4", "claude-opus-4-7"]


def cuts_of(text):
    """All places between the clusters of a text, read from its start."""
    places = [0]
    for cluster in regex.findall(r"\X", text):
        places.append(places[-1] + len(cluster))
    return places


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(0, 60), st.sampled_from(CHOICES))
@pytest.mark.parametrize("model", MODELS)
def test_what_is_left_fits_and_splits_nothing(meter_for, model, text, most, choice):
    """Counted again it fits; it is head, tail or both; no cluster is split."""
    meter = meter_for(model)
    side, boundary = choice
    cut = truncate(text, Wanted(most, side, boundary), meter)
    assert tally_of(cut.text, meter).tokens == cut.after.tokens <= most
    assert cut.before.tokens == tally_of(text, meter).tokens
    head, tail = text[: cut.head_chars], text[len(text) - cut.tail_chars :]
    assert cut.text in (head + tail, head + MARKER + tail)
    if side is Side.HEAD:
        assert text.startswith(cut.text)
    if side is Side.TAIL:
        assert text.endswith(cut.text)
    places = cuts_of(text)
    assert cut.head_chars in places
    assert len(text) - cut.tail_chars in places


@settings(max_examples=300, deadline=None)
@given(st.text(CHARS, max_size=400), st.integers(0, 400))
def test_boundaries_found_from_the_middle_are_those_read_from_the_start(text, place):
    """Where reading begins makes no difference."""
    places = cuts_of(text)
    place = min(place, len(text))
    assert graphemes.at_or_before(text, place) == max(p for p in places if p <= place)
    assert graphemes.at_or_after(text, place) == min(p for p in places if p >= place)


def test_nothing_more_would_fit(meter_for):
    """The longest head and tail are found, not just any that fit."""
    meter = meter_for("gpt-4o")
    text = "one two three four five six seven eight nine ten " * 500
    head = truncate(text, Wanted(1000), meter)
    assert tally_of(text[: head.head_chars + 6], meter).tokens > 1000 == head.after.tokens
    tail = truncate(text, Wanted(1000, Side.TAIL), meter)
    assert tally_of(text[-tail.tail_chars - 6 :], meter).tokens > 1000 == tail.after.tokens


def test_a_text_that_fits_is_left_alone(meter_for):
    """It comes back as it is, whatever was asked."""
    cut = truncate("Hello there.", Wanted(3, Side.MIDDLE, Boundary.LINE), meter_for("gpt-4o"))
    assert (cut.text, cut.head_chars, cut.tail_chars) == ("Hello there.", 12, 0)


@pytest.mark.parametrize(
    ("most", "side", "boundary", "left"),
    [
        (19, Side.HEAD, Boundary.SENTENCE, "The price is 3.14 euros. Mr. Smith pays it.\n"),
        (14, Side.TAIL, Boundary.SENTENCE, "And there is no line here at all."),
        (19, Side.HEAD, Boundary.LINE, "The price is 3.14 euros. Mr. Smith pays it.\n"),
        (14, Side.TAIL, Boundary.LINE, "And there is no line here at all."),
    ],
)
def test_a_sentence_or_line_end_is_preferred(meter_for, most, side, boundary, left):
    """A cut falls on an end that is near; 3.14 and Mr. end nothing."""
    text = (
        "The price is 3.14 euros. Mr. Smith pays it.\nThen he goes home with it, whatever it is.\n"
        "And there is no line here at all."
    )
    assert truncate(text, Wanted(most, side, boundary), meter_for("gpt-4o")).text == left


def test_head_and_tail_share_what_the_marker_leaves(meter_for):
    """Both are there, in about equal shares, and the marker between them."""
    meter = meter_for("gpt-4o")
    text = " ".join(str(number) for number in range(2000))
    cut = truncate(text, Wanted(200, Side.MIDDLE), meter)
    head, tail = cut.text.split(MARKER)
    assert abs(tally_of(head, meter).tokens - tally_of(tail, meter).tokens) <= 4
    assert 195 <= cut.after.tokens <= 200


@pytest.mark.parametrize(
    "unit", ["\U0001f1e9", "\u0301", "\U0001f468\u200d", "a", " ", "\u0915\u094d", "\n"]
)
def test_hostile_runs_are_cut(meter_for, unit):
    """Flags, joiners, marks, blanks without end: a cut within the time a test has."""
    meter = meter_for("gpt-4o")
    wanted = Wanted(500, Side.MIDDLE, Boundary.SENTENCE)
    assert truncate(unit * 200_000, wanted, meter).after.tokens <= 500


def test_what_makes_no_sense_is_refused(meter_for):
    """A limit below nothing and an endless marker are TRUNCATION_INVALID."""
    meter = meter_for("gpt-4o")
    for most, marker, field in ((-1, MARKER, "max_tokens"), (5, "x" * 257, "marker")):
        with pytest.raises(InvalidFields, match="TRUNCATION_INVALID") as refused:
            truncate("a b c", Wanted(most, marker=marker), meter)
        assert [each.field for each in refused.value.violations] == [field]


@given(st.text(CHARS, max_size=200))
def test_sentences_joined_are_the_text(text):
    """Splitting loses nothing."""
    assert "".join(sentences.split(text)) == text
