"""Who sends requests to the ledgers of a world, with all that can go wrong on their side."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from catalog.config import parse_config
from catalog.prices import PriceBook
from services.ledger.rules.apply import Outcome
from services.ledger.rules.commands import Command, Correct, HoldAnswer, WorstCase
from services.ledger.rules.pricing import CatalogPrices
from services.ledger.rules.refusals import BudgetDowngrade, Refusal
from services.ledger.rules.values import AttemptOutcome, Attribution, EntryKind, Tokens
from tests.simulation.world import HOLD_SECONDS, World
from tests.unit.ledger.making import (
    FLEET,
    PRICES,
    SECOND,
    attempt,
    record,
    release,
    reserve,
    settle,
)

# What "cheap" turns out to have cost all along.
LEARNED = CatalogPrices(
    PriceBook(parse_config(FLEET.replace('_million: "1", output', '_million: "1.5", output')))
)

REGULARS = (
    Attribution("acme", project="app", user="ann", feature="search"),
    Attribution("acme", project="web", user="bob", feature="chat", tags=(("team", "red"),)),
)


class Caller:
    """A gateway with one request: reserve, call, then settle or release, or vanish."""

    def __init__(self, world: World) -> None:
        self._world = world
        pick = world.random
        teams = [(), (("team", "red"),), (("team", "blue"),)]
        self._who = Attribution(
            "acme",
            project=pick.choice(["web", "app"]),
            user=pick.choice(["ann", "bob"]),
            feature=pick.choice(["chat", "search"]),
            tags=pick.choice(teams),
        )
        self._tokens = pick.randint(1, 60)
        # What tells its gateway that it is over, under a lease.
        self._over: Callable[[], None] = lambda: None
        self._told: set[str] = set()
        self._request_id = world.new_id()
        models = pick.choice([("cheap",), ("cheap",), ("cheap", "strong"), ("strong",)])
        if world.gateways and pick.random() < 0.9:
            # One of two who call often: whose calls are worth a lease.
            self._who, models = pick.choice(REGULARS), ("cheap",)
            self._tokens = pick.randint(1, 12)
        self._reserve = self._new_reserve(models)
        hold_id = self._reserve.hold_id
        self._settle = settle(hold_id, *self._attempts(models), request_hash="settle")
        failed = attempt(entry_id=world.new_id())
        self._release = release(hold_id, failed, request_hash="release", tenant="acme")
        self._record = record(
            attempt(
                3, entry_id=world.new_id(), kind=pick.choice([EntryKind.CALL, EntryKind.SHADOW])
            ),
            self._request_id,
            attribution=self._who,
            request_hash="record",
        )

    def begin(self) -> None:
        chance = self._world.random.random()
        if chance < 0.2:
            self._until_told(self._record, lambda _: None)
        elif self._admitted_under_a_lease():
            self._call()
        else:
            self._until_told(self._reserve, self._held, tries=4)
        if chance > 0.97:
            self._world.prices = PRICES if self._world.prices is LEARNED else LEARNED

    def _new_reserve(self, models: tuple[str, ...], **more: Any) -> Any:
        hold_id = self._world.new_id()
        usage = Tokens(input_tokens=self._tokens)
        return reserve(
            0,
            hold_id=hold_id,
            request_id=self._request_id,
            attribution=self._who,
            worst_cases=tuple(WorstCase(model, usage, "somewhere") for model in models),
            hold_us=HOLD_SECONDS * SECOND,
            request_hash=f"reserve {hold_id}",
            **more,
        )

    def _attempts(self, models: tuple[str, ...]) -> list[Any]:
        """Mostly within the worst case, now and then beyond it or at a model nobody named."""
        pick, world = self._world.random, self._world
        used = max(1, int(self._tokens * pick.choice([0.1, 0.5, 1, 1, 1.3])))
        model = pick.choice([*models, *models, *models, "strong"])
        tries = [
            attempt(entry_id=world.new_id(), attempt_number=1),
            attempt(
                pick.randint(1, 5),
                entry_id=world.new_id(),
                kind=pick.choice([EntryKind.RETRY, EntryKind.HEDGE, EntryKind.SUMMARY]),
                outcome=AttemptOutcome.FAILED,
            ),
            attempt(used, model, entry_id=world.new_id(), attempt_number=2),
        ]
        return tries[pick.randint(0, 2) :]

    def _held(self, outcome: Outcome) -> None:
        if isinstance(outcome, BudgetDowngrade):
            self._downgrade()
        if isinstance(outcome, HoldAnswer):
            self._call()

    def _admitted_under_a_lease(self) -> bool:
        """Whether its gateway takes it in without a word to a ledger."""
        if not self._world.gateways:
            return False
        gateway = self._world.random.choice(self._world.gateways)
        draw = gateway.admit(self._reserve)
        if draw is None:
            return False
        hold_id = self._reserve.hold_id
        self._over = lambda: gateway.resolved(draw, hold_id)
        self._settle = replace(self._settle, draw=draw)
        self._release = replace(self._release, draw=draw)
        return True

    def _call(self) -> None:
        fate = self._world.random.random()
        call_seconds = self._world.random.expovariate(1 / 8)
        if fate < 0.65:
            self._world.at(call_seconds, lambda: self._until_told(self._settle, self._settled))
            self._world.at(call_seconds, self._over)
        elif fate < 0.85:
            self._world.at(call_seconds, lambda: self._until_told(self._release, lambda _: None))
            self._world.at(call_seconds, self._over)
        # Else it died: the hold lapses.

    def _downgrade(self) -> None:
        """Another hold, for the cheapest model."""
        self._told.discard("Reserve")
        self._reserve = self._new_reserve(("cheap",), downgraded=True)
        self._settle = replace(self._settle, hold_id=self._reserve.hold_id)
        self._release = replace(self._release, hold_id=self._reserve.hold_id)
        self._until_told(self._reserve, self._held, tries=4)

    def _settled(self, outcome: Outcome) -> None:
        if isinstance(outcome, Refusal):
            return
        booked = [each.entry_id for each in self._settle.attempts]
        self._world.acknowledged |= set(booked)
        if self._world.random.random() < 0.3:
            later = self._world.random.uniform(1, 60)
            fix = Correct("acme", booked[-1])
            self._world.at(later, lambda: self._until_told(fix, lambda _: None))

    def _until_told(
        self, command: Command, done: Callable[[Outcome], None], tries: int = 60
    ) -> None:
        """Sends the same command again until an answer comes, as an outbox does."""
        name = type(command).__name__
        if name in self._told or not tries or self._outdated(command):
            return

        def told(outcome: Outcome) -> None:
            if name not in self._told and not self._outdated(command):
                self._told.add(name)
                done(outcome)

        self._world.send(command, told)
        wait = self._world.random.uniform(1, 3)
        self._world.at(wait, lambda: self._until_told(command, done, tries - 1))

    def _outdated(self, command: Command) -> bool:
        """Whether it is the hold before the downgrade."""
        return type(command).__name__ == "Reserve" and command is not self._reserve
