"""Import: books usage that went around the gateway, as of when it happened."""

from services.ledger.rules.books import Books
from services.ledger.rules.commands import ImportUsage
from services.ledger.rules.pricing import bills
from services.ledger.rules.refusals import IdReused
from services.ledger.rules.values import RECORD_OWNER, Entry, Line


def import_usage(books: Books, command: ImportUsage) -> Entry:
    """The row, or the one that an equal command booked.

    Priced at its own time. Budgets are charged only when asked, and then those of now: a window
    that is over cannot be lived within any more.
    Raises: IdReused, UsageImpossible, ModelUnpriced.
    """
    attempt, who = command.attempt, command.attribution
    known = books.entry(attempt.entry_id)
    if known is not None:
        if known.record_hash != command.request_hash:
            raise IdReused(attempt.entry_id)
        return known
    (priced,) = bills(books.prices, [attempt], command.event_us, "attempt")
    owner_id = RECORD_OWNER + attempt.entry_id
    charged = command.charges_budgets and priced.cost_nanos
    lines = [Line(owner_id, key, 0) for _, key in books.applying(who)] if charged else []
    books.check_range(priced.cost_nanos, [line.key for line in lines], "attempt")
    books.charge(lines, priced.cost_nanos)
    books.add_lines(lines)
    entry = Entry(
        owner_id=owner_id,
        request_id=command.request_id,
        attribution=who,
        attempt=attempt,
        cost_nanos=priced.cost_nanos,
        savings=priced.savings,
        counterfactual_nanos=priced.counterfactual_nanos,
        price_version=priced.price_version,
        late=False,
        overage_nanos=0,
        book_us=command.event_us,
        counts_request=books.count(who.tenant, command.request_id),
        record_hash=command.request_hash,
    )
    books.book(entry)
    return entry
