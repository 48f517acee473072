"""A booked row as a flat record: the columns of an export, in their order."""

import json
from datetime import UTC
from typing import Any

TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
WHO = ("tenant", "project", "user", "key_id", "feature", "session")
CAUSES = ("cache", "routing", "compression")
TIMES = ("book_time",)
NUMBERS = (
    "attempt_number",
    *TOKENS,
    "cost_nanos",
    "counterfactual_nanos",
    *(f"saved_{cause}_nanos" for cause in CAUSES),
    "overage_nanos",
    "latency_ms",
    "first_token_ms",
)


def record(entry: Any) -> dict[str, Any]:
    """A row. Money is whole nano-USD and, beside it, decimal text in USD."""
    from catalog.money import usd_text

    attempt, who = entry.attempt, entry.attribution
    saved = {cause_of(saving.cause): saving.saved_nanos for saving in entry.savings}
    return {
        "entry_id": entry.entry_id,
        "request_id": entry.request_id,
        "book_time": rfc3339(entry.book_time),
        **{name: getattr(who, name) for name in WHO},
        "tags": json.dumps(dict(sorted(who.tags.items())), ensure_ascii=False),
        "kind": kind_of(attempt.kind),
        "outcome": outcome_of(attempt.outcome),
        "attempt_number": attempt.attempt_number,
        "model_asked": attempt.model_asked,
        "model_used": attempt.model_used,
        "provider": attempt.provider,
        **{name: getattr(attempt.usage, name) for name in TOKENS},
        "cost_nanos": entry.cost_nanos,
        "cost_usd": usd_text(entry.cost_nanos).replace(",", ""),
        "counterfactual_nanos": entry.counterfactual_nanos,
        **{f"saved_{cause}_nanos": saved.get(cause, 0) for cause in CAUSES},
        "overage_nanos": entry.overage_nanos,
        "price_version": entry.price_version,
        "late": entry.late,
        "latency_ms": attempt.latency_ms,
        "first_token_ms": attempt.first_token_ms,
        "error_reason": attempt.error_reason,
        "trace_id": attempt.trace_id,
    }


def rfc3339(time: Any) -> str:
    """A time to the microsecond, in UTC."""
    return str(time.ToDatetime(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def kind_of(kind: int) -> str:
    """ "call" for ENTRY_KIND_CALL."""
    from spendgate.ledger.v1 import entry_pb2

    name = entry_pb2.EntryKind.Name(entry_pb2.EntryKind.ValueType(kind))
    return name.removeprefix("ENTRY_KIND_").lower()


def outcome_of(outcome: int) -> str:
    """ "ok" for ATTEMPT_OUTCOME_OK."""
    from spendgate.ledger.v1 import entry_pb2

    name = entry_pb2.AttemptOutcome.Name(entry_pb2.AttemptOutcome.ValueType(outcome))
    return name.removeprefix("ATTEMPT_OUTCOME_").lower()


def cause_of(cause: int) -> str:
    """ "cache" for SAVING_CAUSE_CACHE."""
    from cli.report_rows import cause_name

    return cause_name(cause)
