"""The books in memory, whole: what a database keeps between the ledger's transactions."""

from collections import Counter
from collections.abc import Sequence

from services.ledger.rules.apply import Outcome, apply_all
from services.ledger.rules.applying import BudgetIndex
from services.ledger.rules.books import Books, Changes
from services.ledger.rules.commands import Command
from services.ledger.rules.pricing import Prices
from services.ledger.rules.rollup import RollupKey, Sums, rollup_key
from services.ledger.rules.values import (
    Balance,
    BalanceKey,
    Budget,
    Entry,
    Hold,
    HoldState,
    Line,
)


class Broken(AssertionError):
    """The books broke a promise."""


class Memory:
    """Keeps what transactions commit, and checks each commit against the promises."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self.budgets = {budget.number: budget for budget in budgets}
        self.balances: dict[BalanceKey, Balance] = {}
        self.holds: dict[str, Hold] = {}
        self.lines: dict[str, list[Line]] = {}
        self.entries: dict[str, Entry] = {}
        self.rollups: dict[RollupKey, Sums] = {}
        # What may be spent beyond a limit: late charges, overages, records.
        self.excused: Counter[BalanceKey] = Counter()

    def transact(
        self, prices: Prices, now_us: int, commands: Sequence[Command]
    ) -> tuple[Sequence[Outcome], Changes]:
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
        )
        return apply_all(books, commands), books.changes

    def commit(self, changes: Changes, now_us: int) -> None:
        """Keeps the changes. Raises: Broken."""
        for hold in (*changes.new_holds.values(), *changes.changed_holds.values()):
            self._keep_hold(hold)
        for line in changes.lines:
            self.lines.setdefault(line.owner_id, []).append(line)
        for entry in changes.entries:
            self._keep_entry(entry)
        for key, sums in changes.rollups.items():
            kept = self.rollups.setdefault(key, Sums())
            for name in Sums.__slots__:
                setattr(kept, name, getattr(kept, name) + getattr(sums, name))
        self.balances.update(changes.balances)
        for key, balance in changes.balances.items():
            self._check_limit(key, balance)
        for hold in self.holds.values():
            if hold.state is HoldState.PENDING and hold.expire_us <= now_us:
                raise Broken(f"hold {hold.hold_id} outlived its time")

    def check_replay(self) -> None:
        """Balances and rollups are what the rows add up to. Raises: Broken."""
        charged: Counter[str] = Counter()
        for entry in self.entries.values():
            charged[entry.owner_id] += entry.cost_nanos
        settled: Counter[BalanceKey] = Counter()
        reserved: Counter[BalanceKey] = Counter()
        for owner_id, lines in self.lines.items():
            hold = self.holds.get(owner_id)
            pending = hold is not None and hold.state is HoldState.PENDING
            for line in lines:
                settled[line.key] += charged[owner_id]
                reserved[line.key] += line.held_amount if pending else 0
        for key in settled.keys() | self.balances.keys():
            balance = self.balances.get(key, Balance())
            if (balance.settled_amount, balance.reserved_amount) != (settled[key], reserved[key]):
                raise Broken(f"balance {key} is not what its rows add up to")
        rollups: dict[RollupKey, Sums] = {}
        for entry in self.entries.values():
            rollups.setdefault(rollup_key(entry), Sums()).add(entry)
        if rollups != self.rollups:
            raise Broken("rollups are not what the rows add up to")
        requests = Counter(e.request_id for e in self.entries.values() if e.counts_request)
        if set(requests.values()) - {1}:
            raise Broken("a request was counted twice")

    def _keep_hold(self, hold: Hold) -> None:
        old = self.holds.get(hold.hold_id)
        ended = (HoldState.SETTLED, HoldState.RELEASED)
        if old is not None and old.state in ended:
            raise Broken(f"hold {hold.hold_id} was resolved twice")
        self.holds[hold.hold_id] = hold

    def _keep_entry(self, entry: Entry) -> None:
        entry_id = entry.attempt.entry_id
        if entry_id in self.entries:
            raise Broken(f"row {entry_id} was booked twice")
        self.entries[entry_id] = entry
        beyond = entry.overage_nanos
        if entry.late or entry.record_hash:
            beyond = entry.cost_nanos
        for line in self.lines.get(entry.owner_id, ()):
            self.excused[line.key] += beyond

    def _check_limit(self, key: BalanceKey, balance: Balance) -> None:
        if balance.settled_amount < 0 or balance.reserved_amount < 0:
            raise Broken(f"balance {key} is below 0")
        limit = self.budgets[key.budget_number].limit_amount + self.excused[key]
        if balance.settled_amount + balance.reserved_amount > limit:
            raise Broken(f"balance {key} is over its limit")
