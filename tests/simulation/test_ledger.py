"""The ledger's promises in a world of crashes, doubled and lost messages and a jumping clock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.ledger.rules import books, lease, reserve, settle
from services.ledger.rules.values import HoldState
from tests.simulation.callers import Caller
from tests.simulation.gateways import Gateway
from tests.simulation.memory import Broken, Memory
from tests.simulation.world import World

SEEDS = 500
SEEDS_A_TEST = 100


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_A_TEST))
def test_the_books_keep_their_promises(first: int) -> None:
    """Nothing over a limit unless told, one resolution a hold, one answer a command, rows ==
    balances == rollups; a hundred seeds a test."""
    crashes = repeats = fenced = admitted = 0
    for seed in range(first, first + SEEDS_A_TEST):
        world = World(seed, Caller, None if seed % 4 else Gateway)
        try:
            world.run()
        except Broken as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken
        crashes += world.crashes
        repeats += world.repeats
        fenced += world.fenced
        admitted += sum(gateway.admitted for gateway in world.gateways)
    assert crashes > SEEDS_A_TEST
    assert repeats > SEEDS_A_TEST
    assert fenced > SEEDS_A_TEST
    assert admitted > SEEDS_A_TEST


def _no_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reserve._Claim, "breaks", property(lambda _: False))


def _no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Memory, "fence", lambda *_: None)


def _nobody_is_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(books.Books, "tell", lambda *_: None)


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


def _a_lease_has_no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lease, "is_open", lambda _: True)


def _draws_leave_the_lease_whole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(settle, "draw_from", lambda kept, hold, entries: None)


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (_a_lease_has_no_fence, "below 0|add up|over its limit"),
        (_draws_leave_the_lease_whole, "gave less than|over its limit"),
    ],
)
def test_planted_faults_of_leases_are_found(
    plant: Callable[[pytest.MonkeyPatch], None], finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice that is drawn from after it was given back, or used twice."""
    plant(monkeypatch)
    with pytest.raises(Broken, match=finding):
        for seed in range(50):
            World(seed, Caller, Gateway).run()


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (_no_check, "over its limit"),
        (_no_fence, "over its limit|add up|twice|below 0|another answer"),
        (_nobody_is_told, "over its limit"),
        (_no_expiry, "outlived its time"),
        (_lapsed_money_comes_back_twice, "below 0|add up"),
        (_settle_twice, "resolved twice|below 0"),
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
            World(seed, Caller).run()
