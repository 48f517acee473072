"""Who goes next: the day's order, but nobody before what they depend on."""

from cli.demo_rows import Day, dependencies, load_day
from cli.demo_schedule import Schedule


def test_a_single_caller_gets_the_day_in_its_order() -> None:
    """With everything done before the next is taken, only bursts come together."""
    day = load_day()
    schedule = Schedule(day.rows, dependencies(day.rows))
    order: list[str] = []
    while not schedule.finished:
        for row in schedule.take():
            order.append(row.id)
            schedule.done(row)
    assert order == [row.id for row in day.rows]


def test_a_row_that_must_wait_lets_the_next_one_by() -> None:
    """What depends on a row under way stays back, what does not goes on."""
    rows = load_day().rows[:3]
    first, second, third = rows
    waits = {first.id: frozenset(), second.id: frozenset({first.id}), third.id: frozenset()}
    schedule = Schedule(rows, waits)
    assert schedule.take() == [first]
    assert schedule.take() == [third]
    assert schedule.take() == []
    schedule.done(first)
    assert schedule.take() == [second]
    assert schedule.finished


def test_nobody_looks_past_the_window() -> None:
    """A row far down the day is not pulled forward."""
    rows = load_day().rows[:3]
    first, second, third = rows
    waits = {first.id: frozenset(), second.id: frozenset({first.id}), third.id: frozenset()}
    schedule = Schedule(rows, waits, look_ahead_rows=0)
    assert schedule.take() == [first]
    assert schedule.take() == []
    schedule.done(first)
    assert schedule.take() == [second]
    assert schedule.take() == [third]


def test_a_burst_comes_all_at_once() -> None:
    """The rows of one burst are handed out together."""
    day = load_day()
    rows = tuple(row for row in day.rows if row.burst)
    assert len(rows) >= 3
    burst = Day(rows, day.prompts)
    schedule = Schedule(burst.rows, dependencies(burst.rows))
    assert schedule.take() == list(rows)
    assert schedule.finished
