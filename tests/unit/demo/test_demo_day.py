"""The chatbot's day: the file keeps what its labels promise."""

import json
from collections import Counter

import pytest

from cli.demo_call import Manner, Turn, make_ask
from cli.demo_rows import Day, DayInvalid, dependencies, first_rows, load_day, parse_day
from services.cache.fingerprint import fingerprint
from services.cache.prose import CaseFolding

GOOD = {
    "id": "r1",
    "time": "08:00",
    "feature": "faq",
    "kind": "original",
    "user": "u",
    "session": "s",
    "model": "auto",
    "system": "p",
    "text": "Where is it?",
    "output_tokens_max": 8,
    "stop": [],
    "temperature": 0,
    "group": "g",
    "expect": "miss",
}


@pytest.fixture(scope="module")
def day() -> Day:
    return load_day()


def lines(*changes: dict[str, object]) -> list[str]:
    return [json.dumps(GOOD | change) for change in changes]


def test_it_is_a_whole_day(day: Day) -> None:
    """At least 150 requests from morning to night, by several users of six features."""
    assert len(day.rows) >= 150
    assert day.rows[0].time < "09:00"
    assert day.rows[-1].time > "19:00"
    assert {row.feature for row in day.rows} == {
        "faq", "triage", "extract", "assistant", "code", "reports",
    }  # fmt: skip
    assert len({row.user for row in day.rows}) >= 12


def test_about_half_of_it_comes_back(day: Day) -> None:
    """The mix that support desks see: about half are questions asked before."""
    hits = sum(row.expect == "hit" for row in day.rows)
    assert 0.45 <= hits / len(day.rows) <= 0.60


def test_every_kind_of_request_is_there(day: Day) -> None:
    """Repeats, variants, paraphrases, near-misses, conversations, a budget overrun."""
    kinds = Counter(row.kind for row in day.rows)
    assert kinds["variant"] >= 20
    assert kinds["paraphrase"] >= 8
    assert kinds["near_miss"] >= 15
    assert kinds["over_budget"] >= 3
    assert {row.door for row in day.rows} == {"grpc", "stream", "http"}


def test_conversations_are_long(day: Day) -> None:
    """Three conversations or more have at least six turns, numbered without a gap."""
    talks: dict[str, list[int]] = {}
    for row in day.rows:
        if row.turn:
            talks.setdefault(row.session, []).append(row.turn)
    assert all(turns == list(range(1, len(turns) + 1)) for turns in talks.values())
    assert sum(len(turns) >= 6 for turns in talks.values()) >= 3


def test_the_labels_agree_with_the_cache_itself(day: Day) -> None:
    """By the cache's own rules a row labelled hit has an earlier twin in its group, no other has
    one anywhere: so no near-miss can be served."""
    seen: dict[str, str] = {}
    talks: dict[str, list[Turn]] = {}
    for row in day.rows:
        history = talks.setdefault(row.session, []) if row.turn else []
        ask = make_ask(row, day.prompts[row.system], history, Manner(strong_model="s"))
        name = fingerprint(ask.model, ask.prompt, CaseFolding.SAFE)
        if row.expect == "hit":
            assert seen.get(name) == row.group, row.id
        else:
            assert name not in seen, row.id
        seen.setdefault(name, row.group)
        history.append(Turn(row.text, f"answer to {row.group}"))


def test_over_budget_rows_are_the_last_of_their_feature(day: Day) -> None:
    """Once the reports' money is gone it stays gone: refusals come last."""
    expected = [row.expect for row in day.rows if row.feature == "reports"]
    assert expected == sorted(expected)
    assert set(expected) == {"miss", "refused"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (({}, {}), "row r1: its id was used before"),
        (({}, {"id": "r2", "time": "07:59", "group": "h"}), "row r2: it comes before"),
        (({"kind": "joke"},), "no kind is called joke"),
        (({"expect": "luck"},), "nothing is expected by the word luck"),
        (({"door": "window"},), "no door is called window"),
        (({"system": "q"},), "no system prompt is called q"),
        (({"text": "  "},), "it asks nothing"),
        (({"output_tokens_max": 0},), "at least 1 token"),
        (({"kind": "near_miss", "near": "later"},), "what it is near to comes later"),
        (({"expect": "hit"},), "nothing before it can be served"),
        (({}, {"id": "r2"}), "its group has an original"),
        (({"colour": "red"},), "line 1: no field is called colour"),
        ((), "a day has 1 to 2000 rows, not 0"),
    ],
)
def test_a_bad_day_is_refused(changes: tuple[dict[str, object], ...], problem: str) -> None:
    """A wrong row is named with what is wrong about it."""
    with pytest.raises(DayInvalid, match=problem.replace("(", r"\(")):
        parse_day(lines(*changes), {"p": "system"})


@pytest.mark.parametrize("line", ["", "[]", '{"id": "r1"}', "{"])
def test_what_is_no_row_is_refused(line: str) -> None:
    """A line that is no row is named by its number."""
    with pytest.raises(DayInvalid, match="line 1: not a row"):
        parse_day([line], {"p": "system"})


def test_a_short_day_is_its_beginning(day: Day) -> None:
    """The first N requests are the day's own first N, and still a valid order."""
    short = first_rows(day, 40)
    assert short.rows == day.rows[:40]
    assert first_rows(day, None) is day


def test_repeats_wait_for_originals_and_near_misses_for_their_look_alikes() -> None:
    """Order where it matters: sessions, groups, near-misses; bursts do not wait for each other."""
    day = parse_day(
        lines(
            {},
            {"id": "r2", "session": "t", "kind": "repeat", "expect": "hit"},
            {"id": "r3", "session": "u", "kind": "near_miss", "near": "g", "group": "h"},
            {"id": "r4", "session": "s", "group": "i"},
            {"id": "r5", "session": "v", "group": "j", "burst": "b"},
            {"id": "r6", "session": "w", "kind": "repeat", "group": "j", "burst": "b"},
        ),
        {"p": "system"},
    )
    assert dependencies(day.rows) == {
        "r1": frozenset(),
        "r2": {"r1"},
        "r3": {"r1", "r2"},
        "r4": {"r1"},
        "r5": frozenset(),
        "r6": frozenset(),
    }
