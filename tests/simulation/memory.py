"""The books in memory, whole: what a database keeps between the transactions of several ledgers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.ledger.rules.apply import Outcome, apply_all
from services.ledger.rules.applying import BudgetIndex, amount_on
from services.ledger.rules.books import Books, Changes
from services.ledger.rules.commands import Command
from services.ledger.rules.pricing import Prices
from services.ledger.rules.rollup import RollupKey, Sums, rollup_key
from services.ledger.rules.values import (
    Balance,
    BalanceKey,
    Budget,
    Entry,
    EventKind,
    Hold,
    HoldState,
    Line,
)
from services.ledger.rules.windows import starts_of

_ENDED = (HoldState.SETTLED, HoldState.RELEASED)


class Broken(AssertionError):
    """The books broke a promise."""


class Fenced(Exception):
    """Another ledger has changed meanwhile what a transaction read."""


@dataclass(frozen=True)
class Draft:
    """A transaction between its reads and its commit."""

    outcomes: Sequence[Outcome]
    changes: Changes
    holds: Mapping[str, Hold | None]
    slices: Mapping[int, int]


class Memory:
    """Keeps what transactions commit, and checks each commit against the promises."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self.budgets = {budget.number: budget for budget in budgets}
        self.balances: dict[BalanceKey, Balance] = {}
        self.holds: dict[str, Hold] = {}
        self.lines: dict[str, list[Line]] = {}
        self.entries: dict[str, Entry] = {}
        self.rollups: dict[RollupKey, Sums] = {}
        # What may be used beyond a limit: late charges, overages, records, corrections.
        self.excused: Counter[BalanceKey] = Counter()
        # Balances of which somebody was told that they are broken.
        self.told: set[BalanceKey] = set()

    def draft(self, prices: Prices, now_us: int, commands: Sequence[Command]) -> Draft:
        """What a transaction would answer and write. Nothing is kept until commit()."""
        books = Books(
            prices,
            now_us,
            budgets=BudgetIndex(self.budgets.values()),
            balances=self.balances,
            holds=self.holds.values(),
            entries=self.entries.values(),
            counted={
                (entry.attribution.tenant, entry.request_id)
                for entry in self.entries.values()
                if entry.counts_request
            },
            owned=self.lines,
        )
        outcomes = apply_all(books, commands)
        changes = books.changes
        touched = (*changes.new_holds, *changes.changed_holds)
        return Draft(
            outcomes,
            changes,
            holds={hold_id: self.holds.get(hold_id) for hold_id in touched},
            slices=self._slices(changes),
        )

    def fence(self, draft: Draft) -> None:
        """What locks, revisions and unique keys do on a database. Raises: Fenced."""
        changes = draft.changes
        for key, balance in changes.balances.items():
            if self.balances.get(key, Balance()).revision != balance.revision:
                raise Fenced
        for hold_id, base in draft.holds.items():
            if self.holds.get(hold_id) != base:
                raise Fenced
        counted = {e.request_id for e in self.entries.values() if e.counts_request}
        for entry in changes.entries:
            doubled = entry.counts_request and entry.request_id in counted
            if doubled or entry.attempt.entry_id in self.entries:
                raise Fenced
        if self._slices(changes) != draft.slices:
            raise Fenced

    def commit(self, draft: Draft, now_us: int) -> None:
        """Keeps the changes. Raises: Broken; Fenced, and nothing is kept."""
        self.fence(draft)
        changes = draft.changes
        for hold in (*changes.new_holds.values(), *changes.changed_holds.values()):
            self._keep_hold(hold)
        for line in changes.lines:
            self.lines.setdefault(line.owner_id, []).append(line)
        for owner_id, freed in changes.freed.items():
            self.holds[owner_id] = replace(self.holds[owner_id], lines=freed)
            self.lines[owner_id] = list(freed)
        for entry in changes.entries:
            self._keep_entry(entry)
        for event in changes.events:
            self.told.add(event.key)
            if event.kind in (EventKind.OVERAGE, EventKind.LATE):
                self.excused[event.key] += event.amount
        for rollup, sums in changes.rollups.items():
            kept = self.rollups.setdefault(rollup, Sums())
            for name in Sums.__slots__:
                setattr(kept, name, getattr(kept, name) + getattr(sums, name))
        for key, balance in changes.balances.items():
            self.balances[key] = replace(balance, revision=balance.revision + 1)
        for key in changes.balances:
            self._check_limit(key, now_us)

    def check_times(self, now_us: int) -> None:
        """No hold is there after its time. Raises: Broken."""
        for hold in self.holds.values():
            if hold.state is HoldState.PENDING and hold.expire_us <= now_us:
                raise Broken(f"hold {hold.hold_id} outlived its time")

    def check_replay(self) -> None:
        """Balances and rollups are what the rows add up to. Raises: Broken."""
        owned: dict[str, list[Entry]] = {}
        for entry in self.entries.values():
            owned.setdefault(entry.owner_id, []).append(entry)
        settled: Counter[BalanceKey] = Counter()
        reserved: Counter[BalanceKey] = Counter()
        for owner_id, lines in self.lines.items():
            hold = self.holds.get(owner_id)
            released = hold is not None and hold.state is HoldState.RELEASED
            pending = hold is not None and hold.state is HoldState.PENDING
            for line in lines:
                rows = () if released else owned.get(owner_id, ())
                settled[line.key] += amount_on(line, rows)
                reserved[line.key] += line.kept_amount if pending else 0
        for key in settled.keys() | self.balances.keys():
            balance = self.balances.get(key, Balance())
            if (balance.settled_amount, balance.reserved_amount) != (settled[key], reserved[key]):
                raise Broken(f"balance {key} is not what its rows add up to")
        self._check_leases(owned)
        rollups: dict[RollupKey, Sums] = {}
        for entry in self.entries.values():
            rollups.setdefault(rollup_key(entry), Sums()).add(entry)
        if rollups != self.rollups:
            raise Broken("rollups are not what the rows add up to")
        requests = Counter(e.request_id for e in self.entries.values() if e.counts_request)
        if set(requests.values()) - {1}:
            raise Broken("a request was counted twice")

    def _check_leases(self, owned: Mapping[str, list[Entry]]) -> None:
        """What was charged under a lease in time came out of it, as far as it reached."""
        drawn: Counter[tuple[str, BalanceKey]] = Counter()
        for hold in self.holds.values():
            lease_id = f"{hold.lease_id}/{hold.lease_epoch}"
            if hold.state is not HoldState.SETTLED or lease_id not in self.holds:
                continue
            rows = [
                entry
                for entry in owned.get(hold.hold_id, ())
                if not entry.late and not entry.corrects_id
            ]
            for line in hold.lines:
                drawn[lease_id, line.key] += amount_on(line, rows)
        for (lease_id, key), amount in drawn.items():
            for line in self.holds[lease_id].lines:
                if line.key == key and line.freed_amount < min(line.held_amount, amount):
                    raise Broken(f"lease {lease_id} gave less than was charged under it")

    def _slices(self, changes: Changes) -> dict[int, int]:
        """How often the rolling budgets that a transaction moves have been moved."""
        numbers = {key.budget_number for key in changes.balances}
        rolling = {n for n in numbers if self.budgets[n].rolling_us}
        return {
            number: sum(b.revision for k, b in self.balances.items() if k.budget_number == number)
            for number in rolling
        }

    def _keep_hold(self, hold: Hold) -> None:
        old = self.holds.get(hold.hold_id)
        if old is not None and old.state in _ENDED:
            raise Broken(f"hold {hold.hold_id} was resolved twice")
        self.holds[hold.hold_id] = hold

    def _keep_entry(self, entry: Entry) -> None:
        entry_id = entry.attempt.entry_id
        if entry_id in self.entries:
            raise Broken(f"row {entry_id} was booked twice")
        self.entries[entry_id] = entry
        if entry.record_hash or entry.corrects_id:
            for line in self.lines.get(entry.owner_id, ()):
                self.excused[line.key] += max(0, amount_on(line, [entry]))

    def _check_limit(self, key: BalanceKey, now_us: int) -> None:
        balance = self.balances[key]
        if balance.settled_amount < 0 or balance.reserved_amount < 0:
            raise Broken(f"balance {key} is below 0")
        budget = self.budgets[key.budget_number]
        keys = [key]
        if budget.rolling_us:
            keys = [key._replace(window_start_us=us) for us in starts_of(budget, now_us)]
        used = sum(
            each.settled_amount + each.reserved_amount
            for each in (self.balances.get(one, Balance()) for one in keys)
        )
        if used <= budget.limit_amount + sum(self.excused[one] for one in keys):
            return
        if budget.refuses:
            raise Broken(f"balance {key} is over its limit")
        if not self.told & set(keys):
            raise Broken(f"balance {key} went over its limit and nobody was told")
