"""Gateways that admit calls under leases: they pause, are killed, and are cut off."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from services.ledger.rules.apply import Outcome
from services.ledger.rules.applying import tokens_counted
from services.ledger.rules.commands import (
    AcquireLease,
    Amounts,
    Command,
    Draw,
    LeaseAnswer,
    LeaseName,
    Reserve,
    ReturnLease,
)
from services.ledger.rules.pricing import worst_case
from services.ledger.rules.values import Attribution
from tests.simulation.world import HOLD_SECONDS, LEASE_SECONDS, World
from tests.unit.ledger.making import SECOND

WANTED = Amounts(120_000, 90, 4)
TRIES = 8

Key = tuple[Attribution, tuple[str, ...]]


@dataclass
class Held:
    """An epoch as its holder sees it: what is left of it, until when it may admit."""

    name: LeaseName
    left: Amounts
    until_us: int
    under_way: dict[str, Amounts] = field(default_factory=dict)


class Gateway:
    """Holds a lease for each caller it has seen. `asleep` it misses the end of its leases."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._held: dict[Key, Held] = {}
        self._asked: set[Key] = set()
        self._epochs: dict[Key, LeaseName] = {}
        self._life = 0
        self.admitted = 0
        world.at(world.random.uniform(10, 80), self._die)

    def admit(self, wish: Reserve) -> Draw | None:
        """The call's place under a lease; None when it must reserve. Asks for a lease then."""
        key = self._key(wish)
        held, needed = self._held.get(key), self._worst(wish)
        if held is None or self._over(held):
            self._renew(key, needed)
            return None
        left = Amounts(*(have - take for have, take in zip(held.left, needed, strict=True)))
        if min(left) < 0:
            self._renew(key, needed)
            return None
        held.left = left
        held.under_way[wish.hold_id] = needed
        self.admitted += 1
        return Draw(held.name, wish.request_id, wish.attribution, wish.worst_cases)

    def resolved(self, draw: Draw, hold_id: str) -> None:
        """A call is over. Its worst case is not admitted again: nobody has told what it cost."""
        for held in self._held.values():
            if held.name == draw.lease:
                held.under_way.pop(hold_id, None)

    def _over(self, held: Held) -> bool:
        asleep = self._world.random.random() < 0.05
        return self._world.now_us >= held.until_us and not asleep

    def _renew(self, key: Key, needed: Amounts) -> None:
        """Another epoch in place of the one that is over or used up."""
        if key in self._asked:
            return
        old = self._held.pop(key, None)
        if old is not None:
            self._give_back(old)
        self._asked.add(key)
        before = self._epochs.get(key) or LeaseName(f"lease-{self._world.new_id()}", 0)
        name = self._epochs[key] = before._replace(epoch=before.epoch + 1)
        who, models = key
        command = AcquireLease(
            lease=name,
            attribution=who,
            called=tuple((model, "somewhere") for model in models),
            wanted=WANTED,
            least=needed,
            admit_us=LEASE_SECONDS * SECOND,
            call_us=HOLD_SECONDS * SECOND,
            request_hash=f"acquire {name}",
        )
        life, began_us = self._life, self._world.now_us

        def granted(outcome: Outcome) -> None:
            if life != self._life or name != self._epochs.get(key):
                return
            self._asked.discard(key)
            if isinstance(outcome, LeaseAnswer):
                # From before it was asked for: the ledger's time cannot have begun earlier.
                self._held[key] = Held(name, outcome.granted, began_us + outcome.admit_us)

        def nobody_told() -> None:
            if life == self._life and key in self._asked:
                self._asked.discard(key)
                self._tell(ReturnLease(name, who.tenant), lambda _: None)

        self._tell(command, granted, nobody_told)

    def _give_back(self, held: Held) -> None:
        """All but what is under way; the rest once that is over or has had its time."""
        tenant = "acme"
        sums = [sum(each) for each in zip(Amounts(), *held.under_way.values(), strict=True)]
        self._tell(ReturnLease(held.name, tenant, Amounts(*sums)), lambda _: None)
        if held.under_way and self._world.random.random() < 0.7:
            wait = HOLD_SECONDS * 4
            self._world.at(wait, lambda: self._end(held))

    def _end(self, held: Held) -> None:
        if not held.under_way:
            self._tell(ReturnLease(held.name, "acme"), lambda _: None)

    def _die(self) -> None:
        """Killed: it knows of no lease any more; its outbox goes on."""
        self._life += 1
        self._held.clear()
        self._asked.clear()
        self._epochs.clear()

    def _tell(
        self,
        command: Command,
        done: Callable[[Outcome], None],
        given_up: Callable[[], None] = lambda: None,
    ) -> None:
        told: list[Outcome] = []

        def answered(outcome: Outcome) -> None:
            if not told:
                told.append(outcome)
                done(outcome)

        def again(tries: int) -> None:
            if told:
                return
            if not tries:
                given_up()
                return
            self._world.send(command, answered)
            self._world.at(self._world.random.uniform(1, 3), lambda: again(tries - 1))

        again(TRIES)

    def _worst(self, wish: Reserve) -> Amounts:
        costs = [
            worst_case(self._world.prices, case.model, case.tokens, self._world.now_us)
            for case in wish.worst_cases
        ]
        return Amounts(max(costs), max(tokens_counted(c.tokens) for c in wish.worst_cases), 1)

    def _key(self, wish: Reserve) -> Key:
        who = replace(wish.attribution, session="")
        return who, tuple(sorted(case.model for case in wish.worst_cases))
