"""Which kinds of rows are what, for the questions that are asked of them."""

from services.ledger.rules.values import EntryKind


def _known(*names: str) -> tuple[int, ...]:
    members = EntryKind.__members__
    return tuple(int(members[name]) for name in names if name in members)


# Rows that called a model that writes.
CALLS = _known("CALL", "RETRY", "FALLBACK", "HEDGE", "SHADOW", "SUMMARY", "BATCH_ITEM")
# Rows that a provider has on its bill.
BILLED = (*CALLS, *_known("EMBEDDING"))
# Rows served without a call of their own.
HITS = _known("CACHE_HIT", "SHARED_CALL")
# What a caller asked for, the first time and again.
ASKED = _known("CALL", "RETRY", "FALLBACK", "BATCH_ITEM")
AGAIN = _known("RETRY", "FALLBACK")
# Values of a project, or of the tags "environment" and "env", that are not production.
DEVELOPMENT = ("dev", "development", "test", "testing", "staging", "ci")
ENVIRONMENT_TAGS = ("environment", "env")
