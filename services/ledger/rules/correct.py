"""Correct: a price learned later is booked as the difference, in a row of its own."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from services.ledger.rules.books import Books
from services.ledger.rules.commands import Correct, Repriced
from services.ledger.rules.pricing import Bill, Prices, bills
from services.ledger.rules.refusals import EntryUnknown
from services.ledger.rules.values import (
    NO_TOKENS,
    AttemptOutcome,
    Entry,
    EntryKind,
    Saving,
    SavingCause,
    UsageSource,
)

# The same row at its first, second, ... correction gets the same id everywhere: two ledgers that
# correct at once cannot both.
_CORRECTIONS = uuid.UUID("6d1c2a0e-5b55-4d0b-9a3e-0f6b8e0b7a11")


def reprice(prices: Prices, entry: Entry, corrections: Sequence[Entry]) -> tuple[Repriced, Bill]:
    """What a row is booked with and what it costs by `prices`. Raises: ModelUnpriced."""
    (bill,) = bills(prices.newest(), [entry.attempt], entry.price_us or entry.book_us, "attempt")
    last = corrections[-1] if corrections else entry
    told = Repriced(
        entry_id=entry.attempt.entry_id,
        model=entry.attempt.model_used,
        old_nanos=sum(each.cost_nanos for each in (entry, *corrections)),
        new_nanos=bill.cost_nanos,
        old_version=last.price_version,
        new_version=bill.price_version,
    )
    return told, bill


def differs(entry: Entry, corrections: Sequence[Entry], bill: Bill) -> bool:
    """True when a correction has something to say: cost or any saving changed."""
    return bool(
        _cost_change((entry, *corrections), bill)
        or any(_saving_changes((entry, *corrections), bill).values())
    )


def correct(books: Books, command: Correct) -> Repriced:
    """What the row was booked with and what it costs now, the difference booked if there is one.

    It counts against the same budgets and windows as the row itself. Raises: EntryUnknown,
    ModelUnpriced.
    """
    entry = books.entry(command.entry_id)
    if entry is None or entry.corrects_id or entry.attribution.tenant != command.tenant:
        raise EntryUnknown(command.entry_id)
    rows = (entry, *books.corrections_of(command.entry_id))
    told, bill = reprice(books.prices, entry, rows[1:])
    if not differs(entry, rows[1:], bill):
        return told
    row = _correction(books, rows, bill)
    lines = books.lines_of(entry.owner_id)
    books.check_range(lines, [row], "entry_id")
    books.charge(lines, [row])
    books.book(row)
    return told


def _correction(books: Books, rows: Sequence[Entry], bill: Bill) -> Entry:
    entry = rows[0]
    changes = _saving_changes(rows, bill)
    name = f"{entry.attempt.entry_id}/{len(rows)}"
    attempt = replace(
        entry.attempt,
        entry_id=str(uuid.uuid5(_CORRECTIONS, name)),
        kind=EntryKind.CORRECTION,
        outcome=AttemptOutcome.OK,
        usage=NO_TOKENS,
        usage_source=UsageSource.NONE,
        counterfactuals=(),
        latency_ms=0,
        first_token_ms=0,
        error_reason="",
        told_input_tokens=0,
        told_output_tokens=0,
    )
    return replace(
        entry,
        attempt=attempt,
        cost_nanos=_cost_change(rows, bill),
        savings=tuple(Saving(cause, nanos) for cause, nanos in changes.items() if nanos),
        counterfactual_nanos=bill.counterfactual_nanos
        - sum(row.counterfactual_nanos for row in rows),
        price_version=bill.price_version,
        late=False,
        overage_nanos=0,
        book_us=books.now_us,
        counts_request=False,
        record_hash="",
        corrects_id=entry.attempt.entry_id,
    )


def _cost_change(rows: Sequence[Entry], bill: Bill) -> int:
    return bill.cost_nanos - sum(row.cost_nanos for row in rows)


def _saving_changes(rows: Sequence[Entry], bill: Bill) -> dict[SavingCause, int]:
    changes = {saving.cause: saving.saved_nanos for saving in bill.savings}
    for row in rows:
        for saving in row.savings:
            changes[saving.cause] = changes.get(saving.cause, 0) - saving.saved_nanos
    return changes
