"""The books of one transaction, held in memory.

A transaction reads what its commands touch into a Books, applies the commands one by one (see
apply.py), and writes `changes` back. A command is checked to the end before anything changes, so
a refused one leaves no trace and its neighbours never notice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.ledger.rules.applying import Applying, BudgetIndex, amount_on
from services.ledger.rules.pricing import Prices
from services.ledger.rules.refusals import UsageImpossible
from services.ledger.rules.rollup import RollupKey, Sums, rollup_key
from services.ledger.rules.scopes import Called
from services.ledger.rules.values import (
    NANOS_MAX,
    Attribution,
    Balance,
    BalanceKey,
    Budget,
    BudgetEvent,
    BudgetUnit,
    Entry,
    EventKind,
    Hold,
    HoldState,
    Left,
    Line,
)
from services.ledger.rules.windows import starts_of


@dataclass(slots=True)
class Changes:
    """What a transaction has to write. Balances are the new absolute values."""

    new_holds: dict[str, Hold] = field(default_factory=dict)
    changed_holds: dict[str, Hold] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    balances: dict[BalanceKey, Balance] = field(default_factory=dict)
    rollups: dict[RollupKey, Sums] = field(default_factory=dict)
    events: list[BudgetEvent] = field(default_factory=list)
    # The lines of leases whose freed amounts grew, by owner.
    freed: dict[str, tuple[Line, ...]] = field(default_factory=dict)


class Books:
    """What a transaction has read, at one moment of the ledger's clock.

    It must hold every hold, entry, budget and balance that the commands touch; what is missing
    is taken not to exist. `counted` has the (tenant, request_id) already counted as requests,
    `owned` the lines of owners that are no holds.
    """

    def __init__(
        self,
        prices: Prices,
        now_us: int,
        *,
        budgets: BudgetIndex | None = None,
        balances: Mapping[BalanceKey, Balance] | None = None,
        holds: Iterable[Hold] = (),
        entries: Iterable[Entry] = (),
        counted: Iterable[tuple[str, str]] = (),
        owned: Mapping[str, Sequence[Line]] | None = None,
    ) -> None:
        self.prices = prices
        self.now_us = now_us
        self.changes = Changes()
        self._budgets = budgets or BudgetIndex(())
        self._lines = dict(owned or {})
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

    def lines_of(self, owner_id: str) -> Sequence[Line]:
        """The budgets that an owner counts against."""
        hold = self._holds.get(owner_id)
        return hold.lines if hold is not None else self._lines.get(owner_id, ())

    def corrections_of(self, entry_id: str) -> Sequence[Entry]:
        """The rows that correct a row."""
        return [entry for entry in self._entries.values() if entry.corrects_id == entry_id]

    def budget(self, number: int) -> Budget | None:
        """A budget by the books' own name for it."""
        return self._budgets.by_number.get(number)

    def applying(
        self, who: Attribution, called: Iterable[Called], at_us: int | None = None
    ) -> Sequence[Applying]:
        """The budgets that count a call of `who`, in their windows of `at_us` (default now)."""
        return self._budgets.applying(who, called, self.now_us if at_us is None else at_us)

    def left(self, budget: Budget, key: BalanceKey) -> int:
        """Limit less settled less reserved, in the budget's unit; in all slices of a rolling
        window that count now."""
        starts = starts_of(budget, self.now_us) if budget.rolling_us else (key.window_start_us,)
        used = 0
        for start in starts:
            balance = self._balances.get(BalanceKey(budget.number, start, key.subject))
            if balance is not None:
                used += balance.settled_amount + balance.reserved_amount
        return budget.limit_amount - used

    def tightest(self, lines: Iterable[Line]) -> Left | None:
        """The living budget of `lines` with the least left; budgets of money before others, of
        equals the first by id."""
        found = []
        for line in lines:
            budget = self.budget(line.key.budget_number)
            if budget is not None and not budget.deleted:
                left = self.left(budget, line.key)
                found.append(Left(budget.budget_id, left, budget.limit_amount, budget.unit))
        return min(found, key=_tightness, default=None)

    def check_range(self, lines: Iterable[Line], entries: Sequence[Entry], field: str) -> None:
        """Refuses rows that would leave the range amounts are kept in: over 9 billion USD.

        Raises: UsageImpossible for `field`.
        """
        after = [sum(entry.cost_nanos for entry in entries)]
        for line in lines:
            balance = self._balances.get(line.key, Balance())
            after.append(
                balance.settled_amount + balance.reserved_amount + amount_on(line, entries)
            )
        if max(after) > NANOS_MAX:
            raise UsageImpossible(field)

    def charge(self, lines: Iterable[Line], entries: Sequence[Entry]) -> None:
        """Charges every line's budget with what counts there."""
        for line in lines:
            if amount := amount_on(line, entries):
                self._move(line.key, settled_amount=amount)

    def tell(self, kind: EventKind, line: Line, amount: int, hold: Hold) -> None:
        """Notes what somebody should know of a living budget."""
        budget = self.budget(line.key.budget_number)
        if budget is None or budget.deleted:
            return
        self.changes.events.append(
            BudgetEvent(
                kind=kind,
                tenant=budget.scope.tenant,
                budget_id=budget.budget_id,
                key=line.key,
                amount=amount,
                limit_amount=budget.limit_amount,
                request_id=hold.request_id,
                event_us=self.now_us,
            )
        )

    def give_back(self, hold: Hold) -> None:
        """Returns what a hold had set aside on each budget."""
        for line in hold.lines:
            self._move(line.key, reserved_amount=-line.kept_amount)

    def free(self, hold: Hold, amounts: Mapping[BalanceKey, int]) -> None:
        """Takes amounts out of what a lease has set aside; it must have that much."""
        if not amounts:
            return
        lines = tuple(
            replace(line, freed_amount=line.freed_amount + amounts.get(line.key, 0))
            for line in hold.lines
        )
        for key, amount in amounts.items():
            self._move(key, reserved_amount=-amount)
        self._holds[hold.hold_id] = replace(hold, lines=lines)
        self.changes.freed[hold.hold_id] = lines

    def add_hold(self, hold: Hold) -> None:
        """Keeps a hold that was taken elsewhere: under a lease, or as good as returned."""
        self._holds[hold.hold_id] = self.changes.new_holds[hold.hold_id] = hold
        self.changes.lines.extend(hold.lines)

    def open_hold(self, hold: Hold) -> Hold:
        """Sets a new hold's money aside; the hold as it is kept, with what is left after it."""
        for line in hold.lines:
            self._move(line.key, reserved_amount=line.held_amount)
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
        """Keeps the lines of a record, or further ones of a hold."""
        self.changes.lines.extend(lines)

    def counted(self, tenant: str, request_id: str) -> bool:
        """True when a row stands for this request already."""
        return (tenant, request_id) in self._counted

    def book(self, entry: Entry) -> None:
        """Appends a row and sums it up."""
        self._keep(entry)
        if entry.counts_request:
            self._counted.add((entry.attribution.tenant, entry.request_id))
        self.changes.entries.append(entry)
        self.changes.rollups.setdefault(rollup_key(entry), Sums()).add(entry)

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.attempt.entry_id] = entry
        if not entry.corrects_id:
            self._owned.setdefault(entry.owner_id, []).append(entry)

    def _move(self, key: BalanceKey, *, settled_amount: int = 0, reserved_amount: int = 0) -> None:
        old = self._balances.get(key, Balance())
        new = Balance(
            old.settled_amount + settled_amount, old.reserved_amount + reserved_amount, old.revision
        )
        self._balances[key] = self.changes.balances[key] = new

    def _change(self, hold: Hold) -> None:
        self._holds[hold.hold_id] = hold
        fresh = hold.hold_id in self.changes.new_holds
        (self.changes.new_holds if fresh else self.changes.changed_holds)[hold.hold_id] = hold


def _tightness(row: Left) -> tuple[bool, int, str]:
    return row.unit is not BudgetUnit.NANO_USD, row.left_amount, row.budget_id
