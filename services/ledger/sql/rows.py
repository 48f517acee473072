"""Between rows and values. Nothing but renaming and unfolding."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.ledger.rules.rollup import RollupKey, Sums
from services.ledger.rules.values import (
    Attempt,
    AttemptOutcome,
    Attribution,
    BalanceKey,
    Budget,
    BudgetEvent,
    BudgetMode,
    BudgetUnit,
    BudgetWindow,
    Counterfactual,
    Entry,
    EntryKind,
    Hold,
    HoldState,
    Left,
    Line,
    Notice,
    PromptFacts,
    Saving,
    SavingCause,
    Scope,
    Tokens,
    UsageSource,
)
from services.ledger.sql.schema import (
    FACT_HASH_COLUMNS,
    FACT_NUMBER_COLUMNS,
    ROLLUP_KEY_COLUMNS,
    SAVED_COLUMNS,
    SUM_COLUMNS,
    TOKEN_COLUMNS,
)

Row = Mapping[Any, Any]
_SAVED_COLUMN = {
    SavingCause.CACHE: SAVED_COLUMNS[0],
    SavingCause.ROUTING: SAVED_COLUMNS[1],
    SavingCause.COMPRESSION: SAVED_COLUMNS[2],
}


def from_budget_row(row: Row) -> Budget:
    """A budget as it is kept."""
    return Budget(
        number=row["number"],
        budget_id=row["budget_id"],
        scope=Scope(
            tenant=row["tenant"],
            project=row["project"],
            user=row["user_id"],
            key_id=row["key_id"],
            feature=row["feature"],
            model=row["model"],
            provider=row["provider"],
            tags=tuple((name, value) for name, value in row["tags"]),
            each=tuple(row["each"]),
        ),
        window=BudgetWindow(row["window_kind"]),
        limit_amount=row["limit_amount"],
        create_us=row["create_us"],
        unit=BudgetUnit(row["unit"]),
        mode=BudgetMode(row["mode"]),
        time_zone=row["time_zone"],
        rolling_us=row["rolling_us"],
        deleted=row["delete_us"] is not None,
    )


def to_hold_row(hold: Hold) -> dict[str, Any]:
    """A new hold's row."""
    return {
        "hold_id": hold.hold_id,
        "request_id": hold.request_id,
        **_to_attribution(hold.attribution),
        "held_nanos": hold.held_nanos,
        "create_us": hold.create_us,
        "expire_us": hold.expire_us,
        "reserve_hash": hold.reserve_hash,
        "reserve_left": _to_left(hold.reserve_left),
        "notices": [_to_notice(notice) for notice in hold.notices],
        "lease_id": hold.lease_id,
        "lease_epoch": hold.lease_epoch,
        **to_resolution(hold),
    }


def to_resolution(hold: Hold) -> dict[str, Any]:
    """What changes on a hold's row in its life."""
    return {
        "state": int(hold.state),
        "resolve_hash": hold.resolve_hash,
        "resolve_us": hold.resolve_us,
        "resolve_left": _to_left(hold.resolve_left),
    }


def from_hold_row(row: Row, lines: Sequence[Line]) -> Hold:
    """A hold with its lines."""
    return Hold(
        hold_id=row["hold_id"],
        request_id=row["request_id"],
        attribution=_from_attribution(row),
        held_nanos=row["held_nanos"],
        state=HoldState(row["state"]),
        create_us=row["create_us"],
        expire_us=row["expire_us"],
        reserve_hash=row["reserve_hash"],
        reserve_left=_from_left(row["reserve_left"]),
        notices=tuple(_from_notice(notice) for notice in row["notices"]),
        resolve_hash=row["resolve_hash"],
        resolve_left=_from_left(row["resolve_left"]),
        resolve_us=row["resolve_us"],
        lines=tuple(lines),
        lease_id=row["lease_id"],
        lease_epoch=row["lease_epoch"],
    )


def to_line_row(line: Line) -> dict[str, Any]:
    """A line's row."""
    return {
        "owner_id": line.owner_id,
        "budget_number": line.key.budget_number,
        "subject": line.key.subject,
        "window_start_us": line.key.window_start_us,
        "held_amount": line.held_amount,
        "unit": int(line.unit),
        "model": line.model,
        "provider": line.provider,
        "freed_amount": line.freed_amount,
    }


def to_freed(line: Line) -> dict[str, Any]:
    """What changes on a lease's line."""
    return {
        "the_owner": line.owner_id,
        "the_budget": line.key.budget_number,
        "the_subject": line.key.subject,
        "now_freed": line.freed_amount,
    }


def from_line_row(row: Row) -> Line:
    """A line."""
    return Line(
        owner_id=row["owner_id"],
        key=BalanceKey(row["budget_number"], row["window_start_us"], row["subject"]),
        held_amount=row["held_amount"],
        unit=BudgetUnit(row["unit"]),
        model=row["model"],
        provider=row["provider"],
        freed_amount=row["freed_amount"],
    )


def to_event_row(event: BudgetEvent) -> dict[str, Any]:
    """A new event's row."""
    return {
        "kind": int(event.kind),
        "tenant": event.tenant,
        "budget_id": event.budget_id,
        "budget_number": event.key.budget_number,
        "window_start_us": event.key.window_start_us,
        "subject": event.key.subject,
        "amount": event.amount,
        "limit_amount": event.limit_amount,
        "request_id": event.request_id,
        "event_us": event.event_us,
    }


def to_entry_row(entry: Entry) -> dict[str, Any]:
    """A new entry's row."""
    attempt = entry.attempt
    saved = dict.fromkeys(SAVED_COLUMNS, 0)
    for saving in entry.savings:
        saved[_SAVED_COLUMN[saving.cause]] = saving.saved_nanos
    return {
        "entry_id": attempt.entry_id,
        "owner_id": entry.owner_id,
        "request_id": entry.request_id,
        **_to_attribution(entry.attribution),
        "kind": int(attempt.kind),
        "outcome": int(attempt.outcome),
        "attempt_number": attempt.attempt_number,
        "model_asked": attempt.model_asked,
        "model_used": attempt.model_used,
        "provider": attempt.provider,
        **dict(zip(TOKEN_COLUMNS, attempt.usage, strict=True)),
        "usage_source": int(attempt.usage_source),
        "counterfactuals": [
            [int(step.cause), step.model, list(step.usage)] for step in attempt.counterfactuals
        ],
        "cost_nanos": entry.cost_nanos,
        "counterfactual_nanos": entry.counterfactual_nanos,
        **saved,
        "overage_nanos": entry.overage_nanos,
        "price_version": entry.price_version,
        "late": entry.late,
        "latency_ms": attempt.latency_ms,
        "first_token_ms": attempt.first_token_ms,
        "error_reason": attempt.error_reason,
        "trace_id": attempt.trace_id,
        "book_us": entry.book_us,
        "counts_request": entry.counts_request,
        "record_hash": entry.record_hash,
        "corrects_id": entry.corrects_id,
        "price_us": entry.price_us,
        "told_input_tokens": attempt.told_input_tokens,
        "told_output_tokens": attempt.told_output_tokens,
        # NULL, not "" or 0: nothing is known.
        **{name: fact or None for name, fact in attempt.facts._asdict().items()},
    }


def from_entry_row(row: Row) -> Entry:
    """An entry, equal to the one that was booked."""
    chain = tuple(
        Counterfactual(SavingCause(cause), model, Tokens(*usage))
        for cause, model, usage in row["counterfactuals"]
    )
    # Those of the chain, whatever they saved; others only when they did.
    causes = dict.fromkeys(step.cause for step in chain)
    causes.update((cause, None) for cause, name in _SAVED_COLUMN.items() if row[name])
    return Entry(
        owner_id=row["owner_id"],
        request_id=row["request_id"],
        attribution=_from_attribution(row),
        attempt=Attempt(
            entry_id=row["entry_id"],
            kind=EntryKind(row["kind"]),
            outcome=AttemptOutcome(row["outcome"]),
            attempt_number=row["attempt_number"],
            model_asked=row["model_asked"],
            model_used=row["model_used"],
            provider=row["provider"],
            usage=Tokens(*(row[name] for name in TOKEN_COLUMNS)),
            usage_source=UsageSource(row["usage_source"]),
            counterfactuals=chain,
            latency_ms=row["latency_ms"],
            first_token_ms=row["first_token_ms"],
            error_reason=row["error_reason"],
            trace_id=row["trace_id"],
            told_input_tokens=row["told_input_tokens"],
            told_output_tokens=row["told_output_tokens"],
            facts=_from_facts(row),
        ),
        cost_nanos=row["cost_nanos"],
        savings=tuple(Saving(cause, row[_SAVED_COLUMN[cause]]) for cause in causes),
        counterfactual_nanos=row["counterfactual_nanos"],
        price_version=row["price_version"],
        late=row["late"],
        overage_nanos=row["overage_nanos"],
        book_us=row["book_us"],
        counts_request=row["counts_request"],
        price_us=row["price_us"],
        record_hash=row["record_hash"],
        corrects_id=row["corrects_id"],
    )


def _from_facts(row: Row) -> PromptFacts:
    told = {name: row[name] for name in (*FACT_HASH_COLUMNS, *FACT_NUMBER_COLUMNS)}
    return PromptFacts(**{name: fact for name, fact in told.items() if fact is not None})


def to_rollup_row(key: RollupKey, sums: Sums) -> dict[str, Any]:
    """What a transaction adds to a row of sums."""
    row = dict(zip(ROLLUP_KEY_COLUMNS, key, strict=True))
    row.update((name, getattr(sums, name)) for name in SUM_COLUMNS)
    return row


def to_day_row(key: RollupKey, sums: Sums) -> dict[str, Any]:
    """What a transaction adds to a day's row of sums."""
    row = to_rollup_row(key, sums)
    row["day_us"] = row.pop("hour_us")
    return row


def _to_attribution(who: Attribution) -> dict[str, Any]:
    return {
        "tenant": who.tenant,
        "project": who.project,
        "user_id": who.user,
        "key_id": who.key_id,
        "feature": who.feature,
        "session": who.session,
        "tags": dict(who.tags),
    }


def _from_attribution(row: Row) -> Attribution:
    return Attribution(
        tenant=row["tenant"],
        project=row["project"],
        user=row["user_id"],
        key_id=row["key_id"],
        feature=row["feature"],
        session=row["session"],
        tags=tuple(sorted(row["tags"].items())),
    )


def _to_left(left: Left | None) -> list[Any] | None:
    if left is None:
        return None
    return [left.budget_id, left.left_amount, left.limit_amount, int(left.unit)]


def _from_left(kept: Sequence[Any] | None) -> Left | None:
    if kept is None:
        return None
    budget_id, left, limit, unit = kept
    return Left(budget_id, left, limit, BudgetUnit(unit))


def _to_notice(notice: Notice) -> list[Any]:
    return [
        notice.budget_id,
        int(notice.mode),
        int(notice.unit),
        notice.limit_amount,
        notice.left_amount,
        notice.needed_amount,
        notice.reset_us,
        [list(pair) for pair in notice.each],
    ]


def _from_notice(kept: Sequence[Any]) -> Notice:
    budget_id, mode, unit, limit, left, needed, reset_us, each = kept
    return Notice(
        budget_id,
        BudgetMode(mode),
        BudgetUnit(unit),
        limit,
        left,
        needed,
        reset_us,
        tuple((name, value) for name, value in each),
    )
