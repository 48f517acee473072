"""Import: books usage that went around the gateway, as of when it happened."""

from services.ledger.rules.applying import called_by
from services.ledger.rules.books import Books
from services.ledger.rules.commands import ImportUsage
from services.ledger.rules.kinds import STANDING
from services.ledger.rules.pricing import bills
from services.ledger.rules.refusals import IdReused
from services.ledger.rules.values import NO_TOKENS, RECORD_OWNER, Entry


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
    used = priced.cost_nanos or attempt.usage != NO_TOKENS
    charged = command.charges_budgets and used
    applying = books.applying(who, called_by([attempt])) if charged else ()
    lines = [each.line(owner_id, 0) for each in applying]
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
        counts_request=attempt.kind in STANDING
        and not books.counted(who.tenant, command.request_id),
        price_us=command.event_us,
        record_hash=command.request_hash,
    )
    books.check_range(lines, [entry], "attempt")
    books.charge(lines, [entry])
    books.add_lines(lines)
    books.book(entry)
    return entry
