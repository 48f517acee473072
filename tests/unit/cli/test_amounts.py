"""Amounts and times as people type them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.amounts import moment_of, nanos_of, span_of
from cli.demo_money import usd_exact
from cli.problems import EXIT_USAGE, Problem

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("5", 5_000_000_000),
        ("$0.25", 250_000_000),
        ("1,000", 1_000_000_000_000),
        ("0.000000001", 1),
        ("0", 0),
        ("1e3", 1_000_000_000_000),
        ("9223372036.854775807", 2**63 - 1),
    ],
)
def test_dollars_become_whole_nanos(text: str, nanos: int) -> None:
    """An amount in dollars is taken to the nano, never through a float."""
    assert nanos_of(text) == nanos


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "0.0000000001", "inf", "nan", "9223372036.854775808", "1.5.2", "€5"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Nothing is rounded or guessed: the command ends with wrong usage."""
    with pytest.raises(Problem) as caught:
        nanos_of(text)
    assert caught.value.code == EXIT_USAGE
    assert caught.value.next_step


@given(st.integers(0, 2**63 - 1))
def test_what_is_shown_can_be_typed(nanos: int) -> None:
    """An amount as shown reads back to the same nanos."""
    assert nanos_of(usd_exact(nanos)) == nanos


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("24h", NOW - timedelta(hours=24)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_span_back_or_a_date(text: str, expected: datetime) -> None:
    """Spans count back from now; a date without a zone is UTC."""
    assert moment_of(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1y", "yesterday"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """Neither as a moment nor as a span."""
    with pytest.raises(Problem):
        moment_of(text, NOW)
    with pytest.raises(Problem):
        span_of(text)
