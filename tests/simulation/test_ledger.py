"""The ledger's promises in a world of crashes, doubled and lost messages and a jumping clock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.ledger.rules import books, reserve, settle
from services.ledger.rules.values import HoldState
from tests.simulation.memory import Broken
from tests.simulation.world import World

SEEDS = 200


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_the_books_keep_their_promises(first: int) -> None:
    """Nothing over a limit unless marked, one resolution a hold, one answer a command, rows ==
    balances == rollups; fifty seeds a test."""
    crashes = repeats = 0
    for seed in range(first, first + 50):
        world = World(seed)
        try:
            world.run()
        except Broken as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken
        crashes += world.crashes
        repeats += world.repeats
    assert crashes > 50
    assert repeats > 50


def _no_limit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reserve, "_check_limits", lambda *_, **__: [])


def _no_expiry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(books.Books, "lapse", lambda _: 0)


def _lapsed_money_comes_back_twice(patch: pytest.MonkeyPatch) -> None:
    original = settle.resolvable

    def forgetful(kept: Any, command: Any, forbidden: HoldState) -> Any:
        return replace(original(kept, command, forbidden), state=HoldState.PENDING)

    patch.setattr(settle, "resolvable", forgetful)


def _settle_twice(patch: pytest.MonkeyPatch) -> None:
    original = books.Books.hold

    def unresolved(kept: Any, hold_id: str) -> Any:
        hold = original(kept, hold_id)
        return hold and replace(hold, state=HoldState.PENDING)

    patch.setattr(books.Books, "hold", unresolved)
    patch.setattr(books.Books, "entry", lambda *_: None)


def _reserves_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    original = books.Books.hold

    def forgotten(kept: Any, hold_id: str) -> Any:
        hold = original(kept, hold_id)
        return None if hold and hold.state is HoldState.SETTLED else hold

    patch.setattr(books.Books, "hold", forgotten)


def _refusals_leave_something_behind(patch: pytest.MonkeyPatch) -> None:
    original = books.Books.left

    def leaky(kept: Any, budget: Any, key: Any) -> int:
        left: int = original(kept, budget, key)
        kept._move(key, reserved_amount=1)
        return left

    patch.setattr(books.Books, "left", leaky)


def _half_of_the_budgets_are_charged(patch: pytest.MonkeyPatch) -> None:
    original = books.Books.charge
    patch.setattr(
        books.Books, "charge", lambda kept, lines, nanos: original(kept, list(lines)[:1], nanos)
    )


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (_no_limit, "over its limit"),
        (_no_expiry, "outlived its time"),
        (_lapsed_money_comes_back_twice, "below 0|add up"),
        (_settle_twice, "resolved twice"),
        (_reserves_are_forgotten, "resolved twice|another answer"),
        (_refusals_leave_something_behind, "add up|over its limit"),
        (_half_of_the_budgets_are_charged, "add up"),
    ],
)
def test_planted_faults_are_found(
    plant: Callable[[pytest.MonkeyPatch], None], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulator sees what it is there to see, and calls it by its name."""
    plant(monkeypatch)
    with pytest.raises(Broken, match=finding):
        for seed in range(50):
            World(seed).run()
