"""A world in virtual time around the ledger's rules: callers, a network, ledgers that crash.

Everything random comes from one seed, so a failure is found again by its number.
"""

import heapq
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from services.ledger.rules.apply import Outcome
from services.ledger.rules.commands import (
    AcquireLease,
    Answer,
    Command,
    Correct,
    ImportUsage,
    LeaseAnswer,
    Record,
    Repriced,
    ReturnLease,
)
from services.ledger.rules.pricing import Prices
from services.ledger.rules.refusals import Refusal
from services.ledger.rules.values import Budget, BudgetMode, BudgetUnit, BudgetWindow
from services.ledger.rules.windows import HOUR_US
from tests.simulation.memory import Broken, Draft, Fenced, Memory
from tests.unit.ledger.making import NOW, PRICES, SECOND, budget

REQUESTS = 40
REQUESTS_OF_GATEWAYS = 60
HOLD_SECONDS = 20
LEASE_SECONDS = 15
BATCH_MAX = 6
SKEW_SECONDS_MAX = 90
LEDGERS = 2
GATEWAYS = 2
_SLEEP_HOURS = (0, 0, 0, 1, 5)

Told = Callable[[Outcome], None]


def some_budgets() -> list[Budget]:
    """A hierarchy: company, feature, user, hours of a project; and one of every other sort."""
    return [
        budget(1, 900_000),
        budget(2, 400_000, feature="chat"),
        budget(3, 250_000, user="ann"),
        budget(4, 150_000, project="web", window=BudgetWindow.HOUR),
        budget(5, 300_000, window=BudgetWindow.ROLLING, rolling_us=4 * HOUR_US),
        budget(6, 180_000, each=("user", "tag:team")),
        budget(7, 500, unit=BudgetUnit.TOKENS, each=("feature",)),
        budget(8, 12, unit=BudgetUnit.REQUESTS, user="bob"),
        budget(9, 100_000, model="strong"),
        budget(10, 100_000, feature="chat", mode=BudgetMode.DOWNGRADE),
        budget(11, 50_000, project="app", mode=BudgetMode.SOFT, window=BudgetWindow.DAY,
               time_zone="Asia/Kolkata"),
        budget(12, 60_000, each=("model",), mode=BudgetMode.SHADOW),
    ]  # fmt: skip


class World:
    """One run of one seed. `caller` makes whoever sends requests."""

    def __init__(
        self,
        seed: int,
        caller: Callable[["World"], Any],
        gateway: Callable[["World"], Any] | None = None,
    ) -> None:
        self.random = Random(seed)
        # So that there are slices to be had, and still too few for everybody.
        scale = 4 if gateway else 1
        self.memory = Memory(
            [replace(each, limit_amount=scale * each.limit_amount) for each in some_budgets()]
        )
        self.now_us = NOW + self.random.randrange(3600) * SECOND
        self.prices: Prices = PRICES
        self.crashes = self.repeats = self.fenced = 0
        self.acknowledged: set[str] = set()
        self._caller = caller
        self._skew_us = [0] * LEDGERS
        self._slept_us = 0
        self._busy = [False] * LEDGERS
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._ties = 0
        self._inboxes: list[list[tuple[Command, Told]]] = [[] for _ in range(LEDGERS)]
        self._answers: dict[tuple[str, str], Answer] = {}
        self._ids = 0
        # Those that hold leases.
        self.gateways = [gateway(self) for _ in range(GATEWAYS)] if gateway else []

    def run(self) -> None:
        """Lets everybody do their work and every hold lapse. Raises: Broken."""
        for _ in range(REQUESTS_OF_GATEWAYS if self.gateways else REQUESTS):
            self.at(self.random.uniform(0, 60), self._caller(self).begin)
        for _ in range(4):
            self.at(self.random.uniform(0, 90), self._jump)
        steps = 0
        while self._events:
            self.now_us, _, event = heapq.heappop(self._events)
            event()
            steps += 1
            if steps % 32 == 0:
                self.memory.check_replay()
        self._skew_us = [0] * LEDGERS
        longest = HOLD_SECONDS + LEASE_SECONDS + SKEW_SECONDS_MAX
        self.now_us += self._slept_us + 2 * longest * SECOND
        draft = self.memory.draft(self.prices, self.now_us, ())
        self.memory.commit(draft, self.now_us)
        self.memory.check_times(self.now_us)
        self.memory.check_replay()
        missing = self.acknowledged - self.memory.entries.keys()
        if missing:
            raise Broken(f"acknowledged and not there: {missing}")
        if any(balance.reserved_amount for balance in self.memory.balances.values()):
            raise Broken("money is held for nobody")

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        """Does `event` that much later."""
        self._ties += 1
        heapq.heappush(self._events, (self.now_us + int(seconds * SECOND), self._ties, event))

    def new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def send(self, command: Command, told: Told) -> None:
        """Over a network that delays, reorders, doubles and loses, to any of the ledgers."""
        for _ in range(self.random.choice([0, 1, 1, 1, 1, 2])):
            ledger = self.random.randrange(LEDGERS)
            stuck = self.random.random() < 0.05
            seconds = self.random.uniform(5, 60) if stuck else self.random.expovariate(2.0)
            self.at(seconds, lambda ledger=ledger: self._arrive(ledger, command, told))

    def _arrive(self, ledger: int, command: Command, told: Told) -> None:
        self._inboxes[ledger].append((command, told))
        self.at(self.random.uniform(0, 0.2), lambda: self._begin(ledger))

    def _begin(self, ledger: int) -> None:
        """A transaction reads; it commits a moment later, or its ledger crashes before."""
        if self._busy[ledger] or not self._inboxes[ledger]:
            return
        inbox = self._inboxes[ledger]
        taken, self._inboxes[ledger] = inbox[:BATCH_MAX], inbox[BATCH_MAX:]
        self._busy[ledger] = True
        self._try(ledger, taken)

    def _try(self, ledger: int, taken: list[tuple[Command, Told]]) -> None:
        clock_us = self.now_us + self._slept_us + self._skew_us[ledger]
        draft = self.memory.draft(self.prices, clock_us, [command for command, _ in taken])
        self.at(self.random.uniform(0, 0.3), lambda: self._commit(ledger, taken, draft, clock_us))

    def _commit(
        self, ledger: int, taken: list[tuple[Command, Told]], draft: Draft, clock_us: int
    ) -> None:
        crash = self.random.random() < 0.05
        if crash:
            # Either nothing was written, or all of it and not everybody was told.
            self.crashes += 1
            self._inboxes[ledger] = []
            self._busy[ledger] = False
            if self.random.random() < 0.5:
                return
        try:
            self.memory.commit(draft, clock_us)
        except Fenced:
            self.fenced += 1
            if not crash:
                self._try(ledger, taken)
            return
        for (command, told), outcome in zip(taken, draft.outcomes, strict=True):
            self._check_answer(command, outcome)
            if self.random.random() < (0.2 if crash else 0.9):
                self.at(
                    self.random.expovariate(4.0), lambda told=told, outcome=outcome: told(outcome)
                )
        if not crash:
            self._busy[ledger] = False
            self._begin(ledger)

    def _check_answer(self, command: Command, outcome: Outcome) -> None:
        """A repeat gets the first answer, however much has happened since."""
        if isinstance(outcome, Refusal | Repriced) or isinstance(command, Correct | ReturnLease):
            return
        if isinstance(command, AcquireLease):
            name = command.lease.hold_id
            if isinstance(outcome, LeaseAnswer):
                # A price list may have been learned meanwhile: then the holder must hear of it.
                outcome = replace(outcome, models=())
        elif isinstance(command, Record | ImportUsage):
            name = command.attempt.entry_id
        else:
            name = command.hold_id
        first = self._answers.setdefault((type(command).__name__, name), outcome)
        self.repeats += first is not outcome
        if first != outcome:
            raise Broken(f"another answer for {name}")

    def _jump(self) -> None:
        """A ledger's clock is set by seconds; now and then hours pass in which nothing happens."""
        self._slept_us += self.random.choice(_SLEEP_HOURS) * HOUR_US
        seconds = self.random.randint(-SKEW_SECONDS_MAX, SKEW_SECONDS_MAX)
        self._skew_us[self.random.randrange(LEDGERS)] = seconds * SECOND
