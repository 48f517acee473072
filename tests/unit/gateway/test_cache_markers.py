"""Where markers for a provider's prompt cache are set."""

import copy
from typing import Any

from catalog.price import Rates
from gateway.anthropic.markers import Beginnings, Markers

RATES = Rates(1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000, 1_000_000, 5_000_000)
MODEL = "claude-sonnet-4-5"
LONG = "rule " * 2_000
MARK = {"type": "ephemeral"}
USER: Any = {"role": "user", "content": "hi"}
SAID: Any = {"role": "assistant", "content": "hello"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def markers(rates: Rates | None = RATES, clock: Clock | None = None) -> Markers:
    return Markers(lambda _: rates, Beginnings(clock or Clock()))


def marked(body: dict[str, Any], by: Markers, model: str = MODEL) -> dict[str, Any]:
    told = copy.deepcopy(body)
    by.add(told, model)
    return told


def count(body: Any) -> int:
    return str(body).count("'cache_control'")


def test_a_first_sight_is_not_marked_a_second_is() -> None:
    """A write costs more than a read saves unless somebody reads."""
    clock = Clock()
    by = markers(clock=clock)
    body = {"system": LONG, "messages": [USER]}
    assert marked(body, by) == body
    assert marked(body, by)["system"] == [{"type": "text", "text": LONG, "cache_control": MARK}]
    # After the cache's lifetime it is a first sight again.
    clock.now = 301
    assert marked(body, by) == body


def test_a_conversation_under_way_is_marked_at_its_last_turns() -> None:
    """The next call reads up to the last; this one up to where the call before had marked."""
    body = {"system": LONG, "messages": [USER, SAID, USER, SAID, USER]}
    told = marked(body, markers())
    assert count(told["system"]) == 1
    assert [count(turn) for turn in told["messages"]] == [0, 0, 1, 0, 1]
    assert count(told) <= 4


def test_tools_are_part_of_the_beginning() -> None:
    """Without instructions the last tool ends it."""
    tools = [{"name": "f", "input_schema": {}, "description": LONG}, {"name": "g"}]
    told = marked({"tools": tools, "messages": [USER, SAID, USER]}, markers())
    assert [count(tool) for tool in told["tools"]] == [0, 1]


def test_callers_markers_are_respected() -> None:
    """Wherever one stands: then none is added."""
    own: Any = {"type": "text", "text": "x", "cache_control": MARK}
    result = {"type": "tool_result", "tool_use_id": "i", "content": [own]}
    for body in (
        {"system": [own], "messages": [USER, SAID, USER]},
        {"system": LONG, "messages": [{"role": "user", "content": [own]}, SAID, USER]},
        {"system": LONG, "messages": [USER, SAID, {"role": "user", "content": [result]}]},
        {"system": LONG, "cache_control": MARK, "messages": [USER, SAID, USER]},
        {"tools": [{"name": "f", "cache_control": MARK}], "messages": [USER, SAID, USER]},
    ):
        assert marked(body, markers()) == body


def test_what_is_too_short_is_not_marked() -> None:
    """Below the model's shortest prefix nothing is kept."""
    body = {"system": "rule " * 600, "messages": [USER, SAID, USER]}
    assert marked(body, markers()) == body
    assert marked(body, markers(), "claude-opus-5-5") != body


def test_without_a_price_or_a_saving_nothing_is_marked() -> None:
    """What does not pay, or may not, is left."""
    body = {"system": LONG, "messages": [USER, SAID, USER]}
    same = Rates(1_000_000, 1_000_000, 1_250_000, 2_000_000, 5_000_000, 1_000_000, 5_000_000)
    assert marked(body, markers(None)) == body
    assert marked(body, markers(same)) == body


def test_beginnings_are_bounded() -> None:
    """The oldest is forgotten first."""
    seen = Beginnings(Clock(), count_max=2)
    assert [seen.seen(name, 10) for name in (b"a", b"b", b"a", b"c", b"b", b"a")] == [
        False, False, True, False, False, False,
    ]  # fmt: skip
