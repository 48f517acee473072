"""Between the contract's messages and the books' values; and what makes a command the same."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2, hold_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from services.ledger.convert_lease import from_pb_lease_name
from services.ledger.convert_notice import to_pb_left, to_pb_notice, to_time
from services.ledger.rules.commands import (
    Draw,
    HoldAnswer,
    Record,
    Release,
    Reserve,
    Settle,
    Settlement,
    WorstCase,
)
from services.ledger.rules.rollup import Sums
from services.ledger.rules.values import (
    MICROS_PER_SECOND,
    Attempt,
    AttemptOutcome,
    Attribution,
    Counterfactual,
    Entry,
    EntryKind,
    PromptFacts,
    SavingCause,
    Tokens,
    UsageSource,
)

HOLD_SECONDS_DEFAULT = 120
_CARRYING = ("traceparent", "timeout_ms")

MessageT = TypeVar("MessageT", bound=Message)


def meaning_hash(message: Message) -> str:
    """Names all that `message` means.

    Absent fields and defaults are the same, and a field that a later contract adds changes
    nothing for who does not set it. What only carries an item (trace, time left) is no part.
    """
    bare = copy_of(message)
    for field in _CARRYING:
        if field in message.DESCRIPTOR.fields_by_name:
            bare.ClearField(field)
    name = message.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(name + b"\0" + bare.SerializeToString(deterministic=True)).hexdigest()


def from_pb_reserve(item: pb.ReserveItem) -> Reserve:
    """The command."""
    if not item.HasField("hold_duration"):
        item = copy_of(item)
        item.hold_duration.seconds = HOLD_SECONDS_DEFAULT
    return Reserve(
        hold_id=item.hold_id,
        request_id=item.request_id,
        attribution=from_pb_attribution(item.attribution),
        worst_cases=_from_pb_cases(item.worst_cases),
        hold_us=from_duration(item.hold_duration),
        request_hash=meaning_hash(item),
        downgraded=item.downgraded,
        hold_all=item.hold_all,
    )


def from_pb_settle(item: pb.SettleItem) -> Settle:
    """The command."""
    return Settle(
        hold_id=item.hold_id,
        attempts=tuple(from_pb_attempt(attempt) for attempt in item.attempts),
        request_hash=meaning_hash(item),
        tenant=item.tenant,
        draw=_from_pb_draw(item),
    )


def from_pb_release(item: pb.ReleaseItem) -> Release:
    """The command."""
    return Release(
        hold_id=item.hold_id,
        attempts=tuple(from_pb_attempt(attempt) for attempt in item.attempts),
        request_hash=meaning_hash(item),
        tenant=item.tenant,
        draw=_from_pb_draw(item),
    )


def _from_pb_draw(item: pb.SettleItem | pb.ReleaseItem) -> Draw | None:
    if not item.HasField("draw"):
        return None
    draw = item.draw
    return Draw(
        lease=from_pb_lease_name(draw.lease),
        request_id=draw.request_id,
        attribution=from_pb_attribution(draw.attribution),
        worst_cases=_from_pb_cases(draw.worst_cases),
        hold_all=draw.hold_all,
    )


def _from_pb_cases(cases: Iterable[pb.WorstCase]) -> tuple[WorstCase, ...]:
    return tuple(WorstCase(case.model, from_pb_tokens(case.usage), case.provider) for case in cases)


def from_pb_record(item: pb.RecordItem) -> Record:
    """The command."""
    return Record(
        request_id=item.request_id,
        attribution=from_pb_attribution(item.attribution),
        attempt=from_pb_attempt(item.attempt),
        request_hash=meaning_hash(item),
    )


def from_pb_attribution(who: entry_pb2.Attribution) -> Attribution:
    """To whom."""
    return Attribution(
        tenant=who.tenant,
        project=who.project,
        user=who.user,
        key_id=who.key_id,
        feature=who.feature,
        session=who.session,
        tags=tuple(sorted(who.tags.items())),
    )


def from_pb_tokens(usage: chat_pb2.TokenUsage) -> Tokens:
    """Tokens as they were told, possible or not."""
    return Tokens(
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.audio_input_tokens,
        usage.audio_output_tokens,
        usage.image_input_tokens,
        usage.image_output_tokens,
    )


def from_pb_attempt(attempt: entry_pb2.Attempt) -> Attempt:
    """One try."""
    return Attempt(
        entry_id=attempt.entry_id,
        kind=EntryKind(attempt.kind),
        outcome=AttemptOutcome(attempt.outcome),
        attempt_number=attempt.attempt_number,
        model_asked=attempt.model_asked,
        model_used=attempt.model_used,
        provider=attempt.provider,
        usage=from_pb_tokens(attempt.usage),
        usage_source=UsageSource(attempt.usage_source),
        counterfactuals=tuple(
            Counterfactual(SavingCause(step.cause), step.model, from_pb_tokens(step.usage))
            for step in attempt.counterfactuals
        ),
        latency_ms=attempt.latency_ms,
        first_token_ms=attempt.first_token_ms,
        error_reason=attempt.error_reason,
        trace_id=attempt.trace_id,
        told_input_tokens=attempt.told_input_tokens,
        told_output_tokens=attempt.told_output_tokens,
        facts=PromptFacts(*(getattr(attempt.facts, name) for name in PromptFacts._fields)),
    )


def from_pb_time(time: timestamp_pb2.Timestamp) -> int:
    """Microseconds since 1970."""
    return time.seconds * MICROS_PER_SECOND + time.nanos // 1000


def to_pb_hold(hold: HoldAnswer) -> hold_pb2.Hold:
    """A hold."""
    made = hold_pb2.Hold(
        hold_id=hold.hold_id,
        held_nanos=hold.held_nanos,
        state=f"HOLD_STATE_{hold.state.name}",
        expire_time=to_time(hold.expire_us),
    )
    if hold.tightest is not None:
        made.tightest.CopyFrom(to_pb_left(hold.tightest))
    made.notices.extend(to_pb_notice(notice) for notice in hold.notices)
    return made


def to_pb_settlement(settlement: Settlement) -> pb.Settlement:
    """A booking."""
    return pb.Settlement(
        entries=[to_pb_entry(entry) for entry in settlement.entries],
        charged_nanos=settlement.charged_nanos,
        hold=to_pb_hold(settlement.hold),
    )


def to_pb_entry(entry: Entry) -> entry_pb2.Entry:
    """A booked row."""
    return entry_pb2.Entry(
        entry_id=entry.attempt.entry_id,
        request_id=entry.request_id,
        attribution=_to_attribution(entry.attribution),
        attempt=_to_attempt(entry.attempt),
        cost_nanos=entry.cost_nanos,
        savings=[
            entry_pb2.Saving(
                cause=f"SAVING_CAUSE_{saving.cause.name}", saved_nanos=saving.saved_nanos
            )
            for saving in entry.savings
        ],
        counterfactual_nanos=entry.counterfactual_nanos,
        price_version=entry.price_version,
        late=entry.late,
        overage_nanos=entry.overage_nanos,
        book_time=to_time(entry.book_us),
        corrects_entry_id=entry.corrects_id,
        price_time=to_time(entry.price_us),
    )


def to_pb_report_row(values: Sequence[str], sums: Sums) -> pb.ReportRow:
    """A group of a report. Causes that saved nothing and cost nothing are left out."""
    saved = {
        entry_pb2.SAVING_CAUSE_CACHE: sums.saved_cache_nanos,
        entry_pb2.SAVING_CAUSE_ROUTING: sums.saved_routing_nanos,
        entry_pb2.SAVING_CAUSE_COMPRESSION: sums.saved_compression_nanos,
    }
    return pb.ReportRow(
        values=values,
        request_count=sums.request_count,
        hit_count=sums.hit_count,
        error_count=sums.error_count,
        attempt_count=sums.attempt_count,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        cost_nanos=str(sums.cost_nanos),
        counterfactual_nanos=str(sums.counterfactual_nanos),
        savings=[
            pb.ReportSaving(cause=cause, saved_nanos=str(nanos))
            for cause, nanos in saved.items()
            if nanos
        ],
        latency_mean_ms=sums.latency_ms // sums.request_count if sums.request_count else 0,
    )


def copy_of(message: MessageT) -> MessageT:
    """Another message, equal."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _to_attribution(who: Attribution) -> entry_pb2.Attribution:
    return entry_pb2.Attribution(
        tenant=who.tenant,
        project=who.project,
        user=who.user,
        key_id=who.key_id,
        feature=who.feature,
        session=who.session,
        tags=dict(who.tags),
    )


def _to_attempt(attempt: Attempt) -> entry_pb2.Attempt:
    return entry_pb2.Attempt(
        entry_id=attempt.entry_id,
        kind=f"ENTRY_KIND_{attempt.kind.name}",
        outcome=f"ATTEMPT_OUTCOME_{attempt.outcome.name}",
        attempt_number=attempt.attempt_number,
        model_asked=attempt.model_asked,
        model_used=attempt.model_used,
        provider=attempt.provider,
        usage=_to_tokens(attempt.usage),
        usage_source=f"USAGE_SOURCE_{attempt.usage_source.name}",
        counterfactuals=[
            entry_pb2.Counterfactual(
                cause=f"SAVING_CAUSE_{step.cause.name}",
                model=step.model,
                usage=_to_tokens(step.usage),
            )
            for step in attempt.counterfactuals
        ],
        latency_ms=attempt.latency_ms,
        first_token_ms=attempt.first_token_ms,
        error_reason=attempt.error_reason,
        trace_id=attempt.trace_id,
        told_input_tokens=attempt.told_input_tokens,
        told_output_tokens=attempt.told_output_tokens,
        facts=_to_facts(attempt.facts),
    )


def _to_facts(facts: PromptFacts) -> entry_pb2.PromptFacts | None:
    told = {name: fact for name, fact in facts._asdict().items() if fact}
    return entry_pb2.PromptFacts(**told) if told else None


def _to_tokens(usage: Tokens) -> chat_pb2.TokenUsage:
    return chat_pb2.TokenUsage(**{name: n for name, n in usage._asdict().items() if n})


def from_duration(duration: duration_pb2.Duration) -> int:
    """Microseconds."""
    return duration.seconds * MICROS_PER_SECOND + duration.nanos // 1000


# For the messages of other contracts of this room.
to_pb_time = to_time
to_pb_tokens = _to_tokens
