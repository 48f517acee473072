"""Usage that went around the gateway, as a command of the books."""

import uuid
from collections.abc import Callable

from spendgate.ledger.v1 import reading_service_pb2 as pb

from services.ledger.convert import (
    from_pb_attribution,
    from_pb_time,
    from_pb_tokens,
    meaning_hash,
    to_pb_entry,
)
from services.ledger.money_moves import Verb, note_entry
from services.ledger.reading.check import check_import
from services.ledger.rules.commands import ImportUsage
from services.ledger.rules.values import Attempt, AttemptOutcome, EntryKind, UsageSource

# Names the ids of imported rows; never changed, or a repeat would be booked again.
_NAMESPACE = uuid.UUID("6f1c1a0e-54f5-4f0a-9d0e-3f5a0f7a7d21")


def entry_id_of(tenant: str, source: str, event_id: str) -> str:
    """The same for the same event, whoever imports it."""
    told = "\0".join((tenant, source, event_id))
    return str(uuid.uuid5(_NAMESPACE, told))


def from_pb_event(item: pb.UsageEvent) -> ImportUsage:
    """The command."""
    entry_id = entry_id_of(item.attribution.tenant, item.source, item.event_id)
    return ImportUsage(
        request_id=f"import/{entry_id}",
        attribution=from_pb_attribution(item.attribution),
        attempt=Attempt(
            entry_id=entry_id,
            kind=EntryKind.CALL,
            outcome=AttemptOutcome.OK,
            attempt_number=1,
            model_asked=item.model,
            model_used=item.model,
            provider=item.provider,
            usage=from_pb_tokens(item.usage),
            usage_source=UsageSource.REPORTED,
            counterfactuals=(),
            latency_ms=item.latency_ms,
            first_token_ms=0,
            error_reason="",
            trace_id="",
        ),
        event_us=from_pb_time(item.event_time),
        charges_budgets=item.charges_budgets,
        request_hash=meaning_hash(item),
    )


def import_verb(clock: Callable[[], int]) -> Verb[pb.UsageEvent]:
    """How events are checked and booked. `clock` gives microseconds since 1970."""

    def check(item: pb.UsageEvent) -> None:
        check_import(item, clock())

    return Verb("import", check, from_pb_event, to_pb_entry, note_entry)
