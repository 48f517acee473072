"""Any sequence of commands, at any times: the books keep their promises at every step."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ledger.rules.apply import apply_all
from services.ledger.rules.books import Books
from services.ledger.rules.commands import Command, Settlement
from services.ledger.rules.values import Attribution, Balance, BalanceKey, BudgetWindow, HoldState
from tests.unit.ledger.making import (
    SECOND,
    attempt,
    books,
    budget,
    record,
    release,
    reserve,
    settle,
)

BUDGETS = [
    budget(1, 100_000),
    budget(2, 60_000, feature="chat"),
    budget(3, 50_000, user="ann", window=BudgetWindow.HOUR),
]
LIMITS = {each.number: each.limit_amount for each in BUDGETS}


@dataclass(frozen=True)
class Step:
    """What somebody does: to which of six holds, with how many tokens, how much later."""

    verb: str
    hold: int
    tokens: int
    seconds: int
    user: str


STEPS = st.lists(
    st.builds(
        Step,
        verb=st.sampled_from(["reserve", "settle", "release", "record"]),
        hold=st.integers(0, 5),
        tokens=st.integers(1, 60),
        seconds=st.sampled_from([0, 0, 1, 119, 4000]),
        user=st.sampled_from(["ann", "bob"]),
    ),
    max_size=40,
)


def _command(step: Step) -> Command:
    hold_id = f"hold-{step.hold}"
    who = Attribution("acme", user=step.user, feature="chat")
    meant = f"{step.verb} {step.hold} {step.tokens} {step.user}"
    used = attempt(step.tokens, entry_id=meant)
    match step.verb:
        case "reserve":
            return reserve(step.tokens, hold_id=hold_id, attribution=who, request_hash=meant)
        case "settle":
            return settle(hold_id, used, request_hash=meant)
        case "release":
            return release(hold_id, request_hash=meant)
        case _:
            return record(used, request_hash=meant, attribution=who)


def _replayed(kept: Books) -> dict[BalanceKey, tuple[int, int]]:
    """Balances from rows and holds alone."""
    changes = kept.changes
    charged = Counter[str]()
    for entry in changes.entries:
        charged[entry.owner_id] += entry.cost_nanos
    found: dict[BalanceKey, tuple[int, int]] = {}
    for line in changes.lines:
        hold = changes.new_holds.get(line.owner_id)
        pending = hold is not None and hold.state is HoldState.PENDING
        settled, reserved = found.get(line.key, (0, 0))
        found[line.key] = (
            settled + charged[line.owner_id],
            reserved + (line.held_amount if pending else 0),
        )
    return found


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_books_keep_their_promises_at_every_step(steps: list[Step]) -> None:
    """Nothing over a limit unless marked; each hold resolved once; balances equal the replay."""
    kept = books(*BUDGETS)
    excused: Counter[BalanceKey] = Counter()
    resolved: dict[str, HoldState] = {}
    for step in steps:
        kept.now_us += step.seconds * SECOND
        booked = len(kept.changes.entries)
        (outcome,) = apply_all(kept, [_command(step)])
        for entry in kept.changes.entries[booked:]:
            # A record has no hold; a late or overrun settlement says so itself.
            beyond = entry.cost_nanos if entry.late or entry.record_hash else entry.overage_nanos
            for line in kept.changes.lines:
                if line.owner_id == entry.owner_id:
                    excused[line.key] += beyond
        for key, balance in kept.changes.balances.items():
            within = LIMITS[key.budget_number] + excused[key]
            assert balance.settled_amount >= 0
            assert balance.reserved_amount >= 0
            assert balance.settled_amount + balance.reserved_amount <= within
        for hold in kept.changes.new_holds.values():
            final = hold.state in (HoldState.SETTLED, HoldState.RELEASED)
            if hold.hold_id in resolved:
                assert hold.state is resolved[hold.hold_id]
            elif final:
                resolved[hold.hold_id] = hold.state
        if isinstance(outcome, Settlement):
            owner = outcome.hold.hold_id
            rows = [e for e in kept.changes.entries if e.owner_id == owner]
            assert sum(e.cost_nanos for e in rows) == outcome.charged_nanos
    replayed = _replayed(kept)
    for key in replayed.keys() | kept.changes.balances.keys():
        balance = kept.changes.balances.get(key, Balance())
        assert (balance.settled_amount, balance.reserved_amount) == replayed.get(key, (0, 0))
    sums = kept.changes.rollups.values()
    assert sum(s.cost_nanos for s in sums) == sum(e.cost_nanos for e in kept.changes.entries)
