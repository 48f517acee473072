"""What a request must look like, whatever the books hold. Texts are never quoted."""

import re
from collections.abc import Iterable, Mapping, Sequence

from google.protobuf import duration_pb2, timestamp_pb2
from spendgate.ledger.v1 import entry_pb2, lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from chassis.errors import FieldViolation, InvalidFields
from services.ledger.convert import from_pb_tokens
from services.ledger.rules.kinds import ANSWERING
from services.ledger.rules.pricing import impossible_bucket
from services.ledger.rules.values import NANOS_MAX, NO_TOKENS

NAME_BYTES_MAX = 128
MODEL_BYTES_MAX = 256
TAGS_MAX = 16
TAG_NAME_BYTES_MAX = 64
WORST_CASES_MAX = 8
ATTEMPTS_MAX = 16
COUNTERFACTUALS_MAX = 4
REASON_BYTES_MAX = 64
LATENCY_MS_MAX = 10**10
# What ten buckets of 10^12 can add up to.
TOLD_TOKENS_MAX = 10**13
FACT_HASH_BYTES_MAX = 64
FACT_TOKENS_MAX = 10**12
HOLD_SECONDS_MIN = 1
HOLD_SECONDS_MAX = 3600
DIMENSIONS_MAX = 3
VIOLATIONS_MAX = 32

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_REASON = re.compile(r"[A-Z0-9_]+")
# What no database and no terminal should have to show.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Checks:
    """Gathers the violations of one request or item."""

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    def that(self, holds: bool, field: str, rule: str) -> None:
        """Notes a violation of `rule` unless it holds."""
        if not holds and len(self._found) < VIOLATIONS_MAX:
            self._found.append(FieldViolation(field, rule))

    def text(self, field: str, text: str, bytes_max: int = NAME_BYTES_MAX) -> None:
        """A text that may be empty."""
        size = len(text.encode())
        self.that(size <= bytes_max, field, f"takes {bytes_max} bytes at most, got {size}")
        self.that(_CONTROL.search(text) is None, field, "holds a control character")

    def name(self, field: str, text: str, bytes_max: int = NAME_BYTES_MAX) -> None:
        """A text that must be there."""
        self.that(bool(text), field, "is required")
        self.text(field, text, bytes_max)

    def uuid(self, field: str, text: str) -> None:
        """An id made by the caller."""
        rule = "must be a UUID: 36 characters, lower case"
        self.that(_UUID.fullmatch(text) is not None, field, rule if text else "is required")

    def known(self, field: str, number: int, numbers: Iterable[int]) -> None:
        """A required enum value."""
        rule = "is not a value this service knows" if number else "is required"
        self.that(number != 0 and number in numbers, field, rule)

    def between(self, field: str, number: int, least: int, most: int) -> None:
        """A number in a range."""
        self.that(least <= number <= most, field, f"must be from {least} to {most}")

    def count(self, field: str, count: int, least: int, most: int) -> None:
        """A number of elements."""
        self.that(least <= count <= most, field, f"takes {least} to {most}, got {count}")

    def seconds(self, field: str, time: duration_pb2.Duration, least: int, most: int) -> None:
        """A duration in a range of whole seconds."""
        whole = 0 <= time.nanos < 10**9
        inside = least <= time.seconds and (time.seconds, time.nanos) <= (most, 0)
        self.that(whole and inside, field, f"must be from {least} s to {most} s")

    def done(self) -> None:
        """Raises InvalidFields (REQUEST_INVALID) when anything was found."""
        if self._found:
            raise InvalidFields("REQUEST_INVALID", *self._found)


def check_reserve(item: pb.ReserveItem) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.uuid("hold_id", item.hold_id)
    checks.name("request_id", item.request_id)
    check_attribution(checks, item.attribution)
    check_cases(checks, item.worst_cases)
    if item.HasField("hold_duration"):
        checks.seconds("hold_duration", item.hold_duration, HOLD_SECONDS_MIN, HOLD_SECONDS_MAX)
    checks.done()


def check_cases(checks: Checks, cases: Sequence[pb.WorstCase], before: str = "") -> None:
    """What may be called, each at its worst. `before` begins their path."""
    checks.count(f"{before}worst_cases", len(cases), 1, WORST_CASES_MAX)
    for place, case in enumerate(cases[:WORST_CASES_MAX]):
        here = f"{before}worst_cases[{place}]"
        checks.name(f"{here}.model", case.model, MODEL_BYTES_MAX)
        checks.text(f"{here}.provider", case.provider)
        checks.that(case.HasField("usage"), f"{here}.usage", "is required")
        bucket = impossible_bucket(from_pb_tokens(case.usage))
        checks.that(bucket is None, f"{here}.usage.{bucket}", "must be from 0 to 10^12")


def check_draw(checks: Checks, item: pb.SettleItem | pb.ReleaseItem) -> None:
    """How a call was admitted under a lease, if it was."""
    if not item.HasField("draw"):
        return
    draw = item.draw
    check_lease_name(checks, "draw.lease", draw.lease)
    checks.name("draw.request_id", draw.request_id)
    check_attribution(checks, draw.attribution, "draw.")
    check_cases(checks, draw.worst_cases, "draw.")


def check_lease_name(checks: Checks, field: str, name: lease_pb2.LeaseName) -> None:
    """Which grant of which lease."""
    checks.uuid(f"{field}.lease_id", name.lease_id)
    checks.between(f"{field}.epoch", name.epoch, 1, NANOS_MAX)


def check_settle(item: pb.SettleItem) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.uuid("hold_id", item.hold_id)
    checks.text("tenant", item.tenant)
    check_draw(checks, item)
    checks.count("attempts", len(item.attempts), 1, ATTEMPTS_MAX)
    _attempts(checks, item.attempts)
    checks.done()


def check_release(item: pb.ReleaseItem) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.uuid("hold_id", item.hold_id)
    checks.text("tenant", item.tenant)
    check_draw(checks, item)
    checks.count("attempts", len(item.attempts), 0, ATTEMPTS_MAX)
    _attempts(checks, item.attempts)
    for place, attempt in enumerate(item.attempts[:ATTEMPTS_MAX]):
        empty = from_pb_tokens(attempt.usage) == NO_TOKENS and not attempt.counterfactuals
        rule = "what used tokens is settled, not released"
        checks.that(empty, f"attempts[{place}].usage", rule)
    checks.done()


def check_record(item: pb.RecordItem) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("request_id", item.request_id)
    check_attribution(checks, item.attribution)
    checks.that(item.HasField("attempt"), "attempt", "is required")
    if item.HasField("attempt"):
        _attempt(checks, "attempt", item.attempt)
    checks.done()


def check_tenant(tenant: str) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("tenant", tenant)
    checks.done()


def check_report(request: pb.ReportRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    check_time(checks, "start_time", request.start_time)
    check_time(checks, "end_time", request.end_time)
    checks.count("group_by", len(request.group_by), 0, DIMENSIONS_MAX)
    for place, dimension in enumerate(request.group_by[:DIMENSIONS_MAX]):
        checks.known(f"group_by[{place}]", dimension, pb.Dimension.values())
    once = len(set(request.group_by)) == len(request.group_by)
    checks.that(once, "group_by", "names a dimension twice")
    checks.done()


def check_list_entries(request: pb.ListEntriesRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    checks.text("request_id", request.request_id)
    checks.done()


def check_attribution(checks: Checks, who: entry_pb2.Attribution, before: str = "") -> None:
    """To whom. `before` begins its path."""
    here = f"{before}attribution"
    checks.name(f"{here}.tenant", who.tenant)
    for field in ("project", "user", "key_id", "feature", "session"):
        checks.text(f"{here}.{field}", getattr(who, field))
    check_tags(checks, f"{here}.tags", who.tags, TAGS_MAX)


def check_tags(checks: Checks, field: str, tags: Mapping[str, str], most: int) -> None:
    """Labels with their values."""
    checks.count(field, len(tags), 0, most)
    for name, value in tags.items():
        checks.name(field, name, TAG_NAME_BYTES_MAX)
        checks.text(field, value)


def _attempts(checks: Checks, attempts: Sequence[entry_pb2.Attempt]) -> None:
    seen: set[str] = set()
    for place, attempt in enumerate(attempts[:ATTEMPTS_MAX]):
        here = f"attempts[{place}]"
        _attempt(checks, here, attempt)
        rule = "is the id of another attempt of this hold"
        checks.that(attempt.entry_id not in seen, f"{here}.entry_id", rule)
        seen.add(attempt.entry_id)


def _attempt(checks: Checks, here: str, attempt: entry_pb2.Attempt) -> None:
    checks.uuid(f"{here}.entry_id", attempt.entry_id)
    checks.known(f"{here}.kind", attempt.kind, entry_pb2.EntryKind.values())
    checks.known(f"{here}.outcome", attempt.outcome, entry_pb2.AttemptOutcome.values())
    rule = "is made by the ledger itself"
    checks.that(attempt.kind != entry_pb2.ENTRY_KIND_CORRECTION, f"{here}.kind", rule)
    call = int(attempt.kind) in ANSWERING
    checks.between(f"{here}.attempt_number", attempt.attempt_number, int(call), 2**31 - 1)
    for field in ("told_input_tokens", "told_output_tokens"):
        checks.between(f"{here}.{field}", getattr(attempt, field), 0, TOLD_TOKENS_MAX)
    checks.name(f"{here}.model_asked", attempt.model_asked, MODEL_BYTES_MAX)
    checks.name(f"{here}.model_used", attempt.model_used, MODEL_BYTES_MAX)
    checks.text(f"{here}.provider", attempt.provider)
    _usage(checks, here, attempt)
    checks.between(f"{here}.latency_ms", attempt.latency_ms, 0, LATENCY_MS_MAX)
    checks.between(f"{here}.first_token_ms", attempt.first_token_ms, 0, LATENCY_MS_MAX)
    reason = attempt.error_reason
    word = not reason or (_REASON.fullmatch(reason) and len(reason) <= REASON_BYTES_MAX)
    checks.that(bool(word), f"{here}.error_reason", "must be an upper-case word of 64 bytes")
    trace = not attempt.trace_id or _TRACE_ID.fullmatch(attempt.trace_id)
    checks.that(bool(trace), f"{here}.trace_id", "must be 32 lower-case hex digits")
    _facts(checks, f"{here}.facts", attempt.facts)
    steps = attempt.counterfactuals
    checks.count(f"{here}.counterfactuals", len(steps), 0, COUNTERFACTUALS_MAX)
    for place, step in enumerate(steps[:COUNTERFACTUALS_MAX]):
        there = f"{here}.counterfactuals[{place}]"
        checks.known(f"{there}.cause", step.cause, entry_pb2.SavingCause.values())
        checks.name(f"{there}.model", step.model, MODEL_BYTES_MAX)
        checks.that(step.HasField("usage"), f"{there}.usage", "is required")


def _facts(checks: Checks, here: str, facts: entry_pb2.PromptFacts) -> None:
    for name in ("prompt_hash", "system_hash", "near_hash"):
        checks.text(f"{here}.{name}", getattr(facts, name), FACT_HASH_BYTES_MAX)
    for name in ("system", "tools", "history", "new"):
        tokens = getattr(facts, f"{name}_tokens")
        checks.between(f"{here}.{name}_tokens", tokens, 0, FACT_TOKENS_MAX)
    checks.between(f"{here}.output_tokens_max", facts.output_tokens_max, 0, FACT_TOKENS_MAX)


def _usage(checks: Checks, here: str, attempt: entry_pb2.Attempt) -> None:
    """Usage that is missing is counted by the caller or refused here; it is never taken for 0."""
    source = attempt.usage_source
    checks.known(f"{here}.usage_source", source, entry_pb2.UsageSource.values())
    empty = from_pb_tokens(attempt.usage) == NO_TOKENS
    none = source == entry_pb2.USAGE_SOURCE_NONE
    checks.that(empty or not none, f"{here}.usage_source", "is NONE, but there is a usage")
    answered = int(attempt.kind) in ANSWERING and attempt.outcome == entry_pb2.ATTEMPT_OUTCOME_OK
    checks.that(not (answered and empty), f"{here}.usage", "is required of a call that answered")


def check_time(checks: Checks, field: str, time: timestamp_pb2.Timestamp) -> None:
    """A time that protobuf can say."""
    # Up to the year 9999, as protobuf has it.
    inside = 0 <= time.seconds < 253_402_300_800 and 0 <= time.nanos < 10**9
    checks.that(inside, field, "must be a time from 1970 to 9999")
