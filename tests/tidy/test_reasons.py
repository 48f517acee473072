"""Every reason a room refuses with is provoked by a test."""

import importlib
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOMS = ("tokenizer", "cache", "router", "ledger", "gateway")


def _reasons():
    for room in ROOMS:
        module = importlib.import_module(f"spendgate.{room}.v1.error_reason_pb2")
        for name in module.ErrorReason.keys()[1:]:
            yield room, name.removeprefix("ERROR_REASON_")


def _tests_of(room):
    paths = [*TESTS.glob(f"*/{room}/**/*.py"), *TESTS.glob(f"conformance/{room}*/**/*.py")]
    if room == "gateway":
        paths += TESTS.glob("e2e/**/*.py")
    return "\n".join(path.read_text() for path in paths)


@pytest.mark.parametrize(("room", "reason"), list(_reasons()))
def test_a_test_names_the_reason(room, reason):
    """A reason nobody can provoke is a promise nobody has checked."""
    named = reason in _tests_of(room)
    assert named, f"no test of the {room} names {reason}"
