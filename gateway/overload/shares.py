"""Who is next: places and waiting room shared between tenants by weight."""

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


@dataclass(slots=True)
class _Tenant(Generic[ItemT]):
    weight: int
    at_work: int = 0
    # (arrival, what waits), first come first.
    waiting: deque[tuple[int, ItemT]] = field(default_factory=deque)


class FairQueue(Generic[ItemT]):
    """What waits, by tenant; the tenant with the least at work for its weight is next.

    Max-min fairness over places: whoever asks for less than its share gets all it asks for, what
    is left is shared by the others. The waiting room is shared in the same way: when it is full,
    the newest of the tenant with the most waiting for its weight has to go. So a flood delays and
    turns away nobody but who sent it.
    """

    def __init__(self, waiting_max: int, weights: Mapping[str, int]) -> None:
        """A tenant without a weight weighs 1."""
        self._waiting_max = waiting_max
        self._weights = weights
        self._tenants: dict[str, _Tenant[ItemT]] = {}
        self._arrivals = itertools.count()
        self.waiting = 0

    def take_over(self, weights: Mapping[str, int]) -> None:
        """Other weights hold from now on."""
        self._weights = weights
        for name, tenant in self._tenants.items():
            tenant.weight = weights.get(name, 1)

    def started(self, tenant: str) -> None:
        """One more of the tenant's is worked on."""
        self._of(tenant).at_work += 1

    def ended(self, tenant: str) -> None:
        """One less."""
        self._of(tenant).at_work -= 1
        self._forget(tenant)

    def put(self, tenant: str, item: ItemT) -> ItemT | None:
        """Lets `item` wait. Who has to go for it, the item itself perhaps; None: there is room."""
        own = self._of(tenant)
        own.waiting.append((next(self._arrivals), item))
        self.waiting += 1
        if self.waiting <= self._waiting_max:
            return None
        name, longest = max(
            self._tenants.items(),
            key=lambda each: (len(each[1].waiting) / each[1].weight, each[0] == tenant),
        )
        _, gone = longest.waiting.pop()
        self.waiting -= 1
        self._forget(name)
        return gone

    def pop(self) -> tuple[str, ItemT] | None:
        """Whose turn it is, and what; None when nothing waits."""
        if not self.waiting:
            return None
        name, tenant = min(
            ((name, each) for name, each in self._tenants.items() if each.waiting),
            key=lambda each: (each[1].at_work / each[1].weight, each[1].waiting[0][0]),
        )
        _, item = tenant.waiting.popleft()
        self.waiting -= 1
        self._forget(name)
        return name, item

    def remove(self, tenant: str, item: ItemT) -> None:
        """It waits no longer; nothing happens if it does not wait."""
        own = self._of(tenant)
        kept = deque(each for each in own.waiting if each[1] is not item)
        self.waiting -= len(own.waiting) - len(kept)
        own.waiting = kept
        self._forget(tenant)

    def _of(self, tenant: str) -> _Tenant[ItemT]:
        found = self._tenants.get(tenant)
        if found is None:
            found = self._tenants[tenant] = _Tenant(self._weights.get(tenant, 1))
        return found

    def _forget(self, tenant: str) -> None:
        found = self._tenants.get(tenant)
        if found is not None and not found.at_work and not found.waiting:
            del self._tenants[tenant]


class Rooms:
    """How many requests each tenant has under way, most of them waiting for a provider.

    Of `most`, one tenant takes nine tenths at most, and once three quarters are taken no tenant
    takes more than its share by weight among those who have any: a tenant whose provider is slow
    leaves room for the others.
    """

    def __init__(self, most: int, weights: Mapping[str, int]) -> None:
        self._most = most
        self._weights = weights
        self._taken: dict[str, int] = {}
        self.taken = 0

    def take_over(self, weights: Mapping[str, int]) -> None:
        """Other weights hold from now on."""
        self._weights = weights

    def enter(self, tenant: str) -> bool:
        """Whether there is room, which is taken then."""
        own = self._taken.get(tenant, 0)
        if self.taken >= self._most or own >= self._own_most(tenant):
            return False
        self._taken[tenant] = own + 1
        self.taken += 1
        return True

    def leave(self, tenant: str) -> None:
        """Gives it back."""
        self.taken -= 1
        self._taken[tenant] -= 1
        if not self._taken[tenant]:
            del self._taken[tenant]

    def _own_most(self, tenant: str) -> int:
        of_one = max(1, self._most * 9 // 10)
        if 4 * self.taken < 3 * self._most:
            return of_one
        weights = {name: self._weights.get(name, 1) for name in (*self._taken, tenant)}
        share = self._most * weights[tenant] // sum(weights.values())
        return min(of_one, max(1, share))
