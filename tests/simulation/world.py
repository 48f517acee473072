"""A world in virtual time around the ledger's rules: callers, a network, a ledger that crashes.

Everything random comes from one seed, so a failure is found again by its number.
"""

import heapq
from collections.abc import Callable
from random import Random

from services.ledger.rules.apply import Outcome
from services.ledger.rules.commands import Answer, Command, HoldAnswer, Record, WorstCase
from services.ledger.rules.refusals import Refusal
from services.ledger.rules.values import Attribution, Budget, BudgetWindow, Tokens
from tests.simulation.memory import Broken, Memory
from tests.unit.ledger.making import (
    NOW,
    PRICES,
    SECOND,
    attempt,
    budget,
    record,
    release,
    reserve,
    settle,
)

REQUESTS = 40
HOLD_SECONDS = 20
BATCH_MAX = 6
SKEW_SECONDS_MAX = 90


def some_budgets() -> list[Budget]:
    """A hierarchy: company, feature, user, and hours of a project."""
    return [
        budget(1, 900_000),
        budget(2, 400_000, feature="chat"),
        budget(3, 250_000, user="ann"),
        budget(4, 150_000, project="web", window=BudgetWindow.HOUR),
    ]


class World:
    """One run of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.memory = Memory(some_budgets())
        self.now_us = NOW + self.random.randrange(3600) * SECOND
        self.crashes = 0
        self.repeats = 0
        self.acknowledged: set[str] = set()
        self._skew_us = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._ties = 0
        self._inbox: list[tuple[Command, Callable[[Outcome], None]]] = []
        self._answers: dict[tuple[str, str], Answer] = {}
        self._ids = 0

    def run(self) -> None:
        """Lets everybody do their work and every hold lapse. Raises: Broken."""
        for _ in range(REQUESTS):
            self.at(self.random.uniform(0, 60), Caller(self).begin)
        for _ in range(4):
            self.at(self.random.uniform(0, 90), self._jump)
        steps = 0
        while self._events:
            self.now_us, _, event = heapq.heappop(self._events)
            event()
            steps += 1
            if steps % 16 == 0:
                self.memory.check_replay()
        self._skew_us = 0
        self.now_us += 2 * (HOLD_SECONDS + SKEW_SECONDS_MAX) * SECOND
        self._transact(crash=False)
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

    def send(self, command: Command, told: Callable[[Outcome], None]) -> None:
        """Over a network that delays, reorders, doubles and loses."""
        for _ in range(self.random.choice([0, 1, 1, 1, 1, 2])):
            self.at(self.random.expovariate(2.0), lambda: self._arrive(command, told))

    def _arrive(self, command: Command, told: Callable[[Outcome], None]) -> None:
        self._inbox.append((command, told))
        self.at(self.random.uniform(0, 0.2), lambda: self._transact(crash=self._unlucky()))

    def _unlucky(self) -> bool:
        return self.random.random() < 0.05

    def _transact(self, *, crash: bool) -> None:
        taken, self._inbox = self._inbox[:BATCH_MAX], self._inbox[BATCH_MAX:]
        clock_us = self.now_us + self._skew_us
        commands = [command for command, _ in taken]
        outcomes, changes = self.memory.transact(PRICES, clock_us, commands)
        if crash:
            # Either nothing was written, or all of it and nobody was told.
            self.crashes += 1
            self._inbox = []
            if self.random.random() < 0.5:
                return
        self.memory.commit(changes, clock_us)
        for (command, told), outcome in zip(taken, outcomes, strict=True):
            self._check_answer(command, outcome)
            if not crash and self.random.random() < 0.9:
                self.at(
                    self.random.expovariate(4.0), lambda told=told, outcome=outcome: told(outcome)
                )

    def _check_answer(self, command: Command, outcome: Outcome) -> None:
        """A repeat gets the first answer, however much has happened since."""
        if isinstance(outcome, Refusal):
            return
        name = command.attempt.entry_id if isinstance(command, Record) else command.hold_id
        first = self._answers.setdefault((type(command).__name__, name), outcome)
        self.repeats += first is not outcome
        if first != outcome:
            raise Broken(f"another answer for {name}")

    def _jump(self) -> None:
        self._skew_us = self.random.randint(-SKEW_SECONDS_MAX, SKEW_SECONDS_MAX) * SECOND


class Caller:
    """A gateway with one request: reserve, call, then settle or release, or vanish."""

    def __init__(self, world: World) -> None:
        self._world = world
        pick = world.random
        self._who = Attribution(
            "acme",
            project=pick.choice(["web", "app"]),
            user=pick.choice(["ann", "bob"]),
            feature=pick.choice(["chat", "search"]),
        )
        self._tokens = pick.randint(1, 60)
        self._told: set[str] = set()
        hold_id = world.new_id()
        self._reserve = reserve(
            0,
            hold_id=hold_id,
            request_id=world.new_id(),
            attribution=self._who,
            worst_cases=(WorstCase("cheap", Tokens(input_tokens=self._tokens)),),
            hold_us=HOLD_SECONDS * SECOND,
            request_hash=f"reserve {hold_id}",
        )
        # Mostly within the worst case, now and then beyond it.
        used = max(1, int(self._tokens * pick.choice([0.1, 0.5, 1, 1, 1.3])))
        tries = [
            attempt(entry_id=world.new_id(), attempt_number=1),
            attempt(used, entry_id=world.new_id(), attempt_number=2),
        ]
        self._settle = settle(hold_id, *tries[pick.randint(0, 1) :], request_hash="settle")
        self._release = release(hold_id, tries[0], request_hash="release")
        self._record = record(
            attempt(3, entry_id=world.new_id()),
            world.new_id(),
            attribution=self._who,
            request_hash="record",
        )

    def begin(self) -> None:
        if self._world.random.random() < 0.2:
            self._until_told(self._record, lambda _: None)
        else:
            self._until_told(self._reserve, self._held, tries=4)

    def _held(self, outcome: Outcome) -> None:
        if not isinstance(outcome, HoldAnswer):
            return
        fate = self._world.random.random()
        call_seconds = self._world.random.expovariate(1 / 8)
        if fate < 0.65:
            self._world.at(call_seconds, lambda: self._until_told(self._settle, self._settled))
        elif fate < 0.85:
            self._world.at(call_seconds, lambda: self._until_told(self._release, lambda _: None))
        # Else it died: the hold lapses.

    def _settled(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Refusal):
            self._world.acknowledged |= {each.entry_id for each in self._settle.attempts}

    def _until_told(
        self, command: Command, done: Callable[[Outcome], None], tries: int = 60
    ) -> None:
        """Sends the same command again until an answer comes, as an outbox does."""
        name = type(command).__name__
        if name in self._told or not tries:
            return

        def told(outcome: Outcome) -> None:
            if name not in self._told:
                self._told.add(name)
                done(outcome)

        self._world.send(command, told)
        wait = self._world.random.uniform(1, 3)
        self._world.at(wait, lambda: self._until_told(command, done, tries - 1))
