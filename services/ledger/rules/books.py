"""The books of one transaction, held in memory.

A transaction reads what its commands touch into a Books, applies the commands one by one (see
apply.py), and writes `changes` back. A command is checked to the end before anything changes, so
a refused one leaves no trace and its neighbours never notice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.ledger.rules.pricing import Prices
from services.ledger.rules.refusals import UsageImpossible
from services.ledger.rules.rollup import RollupKey, Sums, rollup_key
from services.ledger.rules.scopes import scope_key, scope_keys
from services.ledger.rules.values import (
    NANOS_MAX,
    Attribution,
    Balance,
    BalanceKey,
    Budget,
    Entry,
    Hold,
    HoldState,
    Left,
    Line,
)
from services.ledger.rules.windows import window_at


@dataclass(slots=True)
class Changes:
    """What a transaction has to write. Balances are the new absolute values."""

    new_holds: dict[str, Hold] = field(default_factory=dict)
    changed_holds: dict[str, Hold] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    balances: dict[BalanceKey, Balance] = field(default_factory=dict)
    rollups: dict[RollupKey, Sums] = field(default_factory=dict)


class Books:
    """What a transaction has read, at one moment of the ledger's clock.

    It must hold every hold, entry, budget and balance that the commands touch; what is missing
    is taken not to exist. `counted` has the (tenant, request_id) already counted as requests.
    """

    def __init__(
        self,
        prices: Prices,
        now_us: int,
        *,
        budgets: Iterable[Budget] = (),
        balances: Mapping[BalanceKey, Balance] | None = None,
        holds: Iterable[Hold] = (),
        entries: Iterable[Entry] = (),
        counted: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.prices = prices
        self.now_us = now_us
        self.changes = Changes()
        self._budgets = {budget.number: budget for budget in budgets}
        self._scopes: dict[str, list[Budget]] = {}
        for budget in self._budgets.values():
            self._scopes.setdefault(_scope_of(budget), []).append(budget)
        self._balances = dict(balances or {})
        self._holds = {hold.hold_id: hold for hold in holds}
        self._entries: dict[str, Entry] = {}
        self._owned: dict[str, list[Entry]] = {}
        for entry in entries:
            self._keep(entry)
        self._counted = set(counted)

    def lapse(self) -> int:
        """Gives back the money of every pending hold whose time is up; how many there were."""
        lapsed = [
            hold
            for hold in self._holds.values()
            if hold.state is HoldState.PENDING and hold.expire_us <= self.now_us
        ]
        for hold in lapsed:
            self.give_back(hold)
            self._change(replace(hold, state=HoldState.EXPIRED))
        return len(lapsed)

    def hold(self, hold_id: str) -> Hold | None:
        """The hold of this id."""
        return self._holds.get(hold_id)

    def entry(self, entry_id: str) -> Entry | None:
        """The row of this id."""
        return self._entries.get(entry_id)

    def entries_of(self, owner_id: str) -> Sequence[Entry]:
        """The rows that an owner booked, in the order of their attempts."""
        return self._owned.get(owner_id, ())

    def applying(self, who: Attribution) -> list[tuple[Budget, BalanceKey]]:
        """The budgets that count a call of `who`, each with its window of now."""
        found = {
            budget.number: budget
            for key in scope_keys(who)
            for budget in self._scopes.get(key, ())
            if not budget.deleted and budget.applies_to(who)
        }
        return [
            (budget, BalanceKey(number, window_at(budget.window, self.now_us).start_us))
            for number, budget in sorted(found.items())
        ]

    def left(self, budget: Budget, key: BalanceKey) -> int:
        """Limit less settled less reserved, in nano-USD."""
        balance = self._balances.get(key, Balance())
        return budget.limit_nanos - balance.settled_nanos - balance.reserved_nanos

    def tightest(self, lines: Iterable[Line]) -> Left | None:
        """The living budget of `lines` with the least left; of equals, the first by id."""
        found = []
        for line in lines:
            budget = self._budgets.get(line.key.budget_number)
            if budget is not None and not budget.deleted:
                left = self.left(budget, line.key)
                found.append(Left(budget.budget_id, left, budget.limit_nanos))
        return min(found, key=lambda row: (row.left_nanos, row.budget_id), default=None)

    def check_range(self, charged: int, keys: Iterable[BalanceKey], field: str) -> None:
        """Refuses a charge that would leave the range money is kept in: over 9 billion USD.

        Raises: UsageImpossible for `field`.
        """
        after = [charged]
        for key in keys:
            balance = self._balances.get(key, Balance())
            after.append(balance.settled_nanos + balance.reserved_nanos + charged)
        if max(after) > NANOS_MAX:
            raise UsageImpossible(field)

    def charge(self, lines: Iterable[Line], nanos: int) -> None:
        """Charges every line's budget."""
        for line in lines:
            self._move(line.key, settled_nanos=nanos)

    def give_back(self, hold: Hold) -> None:
        """Returns what a hold had set aside on each budget."""
        for line in hold.lines:
            self._move(line.key, reserved_nanos=-line.held_nanos)

    def open_hold(self, hold: Hold) -> Hold:
        """Sets a new hold's money aside; the hold as it is kept, with what is left after it."""
        for line in hold.lines:
            self._move(line.key, reserved_nanos=line.held_nanos)
        kept = replace(hold, reserve_left=self.tightest(hold.lines))
        self._holds[kept.hold_id] = self.changes.new_holds[kept.hold_id] = kept
        self.changes.lines.extend(kept.lines)
        return kept

    def resolve(self, hold: Hold, state: HoldState, request_hash: str) -> Hold:
        """Ends a hold; the hold as it is kept, with what is left after it."""
        done = replace(
            hold,
            state=state,
            resolve_hash=request_hash,
            resolve_left=self.tightest(hold.lines),
            resolve_us=self.now_us,
        )
        self._change(done)
        return done

    def add_lines(self, lines: Sequence[Line]) -> None:
        """Keeps the lines of a record."""
        self.changes.lines.extend(lines)

    def count(self, tenant: str, request_id: str) -> bool:
        """True the first time a request is booked."""
        if (tenant, request_id) in self._counted:
            return False
        self._counted.add((tenant, request_id))
        return True

    def book(self, entry: Entry) -> None:
        """Appends a row and sums it up."""
        self._keep(entry)
        self.changes.entries.append(entry)
        self.changes.rollups.setdefault(rollup_key(entry), Sums()).add(entry)

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.attempt.entry_id] = entry
        self._owned.setdefault(entry.owner_id, []).append(entry)

    def _move(self, key: BalanceKey, *, settled_nanos: int = 0, reserved_nanos: int = 0) -> None:
        old = self._balances.get(key, Balance())
        new = Balance(
            old.settled_nanos + settled_nanos, old.reserved_nanos + reserved_nanos, old.revision
        )
        self._balances[key] = self.changes.balances[key] = new

    def _change(self, hold: Hold) -> None:
        self._holds[hold.hold_id] = hold
        fresh = hold.hold_id in self.changes.new_holds
        (self.changes.new_holds if fresh else self.changes.changed_holds)[hold.hold_id] = hold


def _scope_of(budget: Budget) -> str:
    return scope_key(budget.tenant, budget.project, budget.user, budget.key_id, budget.feature)
