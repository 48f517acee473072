"""What each kind of row means: the policy by which its attempt is booked.

Every kind is charged what it cost, to every budget that applies to its request. What differs:

kind          | stands for the request | calls a provider | against which counterfactual
CALL          | yes                    | yes              | the chain it brings
RETRY         | yes                    | yes              | the chain it brings
FALLBACK      | yes                    | yes              | the chain it brings
CACHE_HIT     | yes                    | no               | the call it saved
SHARED_CALL   | yes                    | no               | the call it saved
BATCH_ITEM    | yes                    | yes              | the chain it brings
HEDGE, SHADOW | no                     | yes              | not done: costs count against routing
SUMMARY       | no                     | yes              | not done: against compression
EMBEDDING     | no                     | no               | not done: against the cache
CORRECTION    | no                     | no               | the row it corrects

A BATCH_ITEM came from a provider's own batch endpoint and is charged at the batch price; what a
batch job called the ordinary way is a CALL.

An attempt that failed or whose caller went away is charged what the provider bills for it: what
was told, or what Spendgate counted of prompt and answer so far; nothing only when nothing was used.
"""

from services.ledger.rules.values import EntryKind, SavingCause

# Served without a call of its own.
HITS = frozenset({EntryKind.CACHE_HIT, EntryKind.SHARED_CALL})
# Called a model that writes.
CALLS = frozenset(
    {
        EntryKind.CALL,
        EntryKind.RETRY,
        EntryKind.FALLBACK,
        EntryKind.BATCH_ITEM,
        EntryKind.HEDGE,
        EntryKind.SHADOW,
        EntryKind.SUMMARY,
    }
)
# What would not have been done without Spendgate, and which of its means it was done for.
EXTRA_CAUSE = {
    EntryKind.HEDGE: SavingCause.ROUTING,
    EntryKind.SHADOW: SavingCause.ROUTING,
    EntryKind.SUMMARY: SavingCause.COMPRESSION,
    EntryKind.EMBEDDING: SavingCause.CACHE,
}
# Can be the one row that stands for its request.
STANDING = frozenset(set(EntryKind) - set(EXTRA_CAUSE) - {EntryKind.CORRECTION})
# Brings an answer of its own when it succeeds, so it used tokens.
ANSWERING = frozenset(CALLS | {EntryKind.EMBEDDING})
