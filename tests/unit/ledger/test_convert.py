"""Between the contract and the books."""

from enum import IntEnum
from typing import Any

import pytest
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2, key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from services.ledger import convert
from services.ledger.rules import values
from services.ledger.rules.apply import apply
from services.ledger.rules.values import Entry, PromptFacts, SavingCause, Tokens
from tests.unit.ledger.making import attempt, books, new_id, record, step


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (values.EntryKind, entry_pb2.EntryKind, "ENTRY_KIND_"),
        (values.AttemptOutcome, entry_pb2.AttemptOutcome, "ATTEMPT_OUTCOME_"),
        (values.UsageSource, entry_pb2.UsageSource, "USAGE_SOURCE_"),
        (values.SavingCause, entry_pb2.SavingCause, "SAVING_CAUSE_"),
        (values.HoldState, hold_pb2.HoldState, "HOLD_STATE_"),
        (values.BudgetWindow, budget_pb2.BudgetWindow, "BUDGET_WINDOW_"),
        (values.KeyRole, key_pb2.KeyRole, "KEY_ROLE_"),
    ],
)
def test_the_books_know_every_value_of_the_contract(
    ours: type[IntEnum], theirs: Any, prefix: str
) -> None:
    """A value that the contract gains must be given a meaning here."""
    told = {prefix + each.name: each.value for each in ours}
    assert told | {f"{prefix}UNSPECIFIED": 0} == dict(theirs.items())


def test_token_buckets_are_those_of_the_contract() -> None:
    """By name and in number."""
    from spendgate.chat.v1 import chat_pb2

    assert [f.name for f in chat_pb2.TokenUsage.DESCRIPTOR.fields] == list(Tokens._fields)


def test_an_entry_says_all_that_was_told() -> None:
    """What went in comes out, field by field."""
    told = attempt(
        7,
        usage=Tokens(1, 2, 3, 4, 5, 6, 7, 8),
        counterfactuals=(step(SavingCause.ROUTING, "strong", 9),),
        first_token_ms=3,
        error_reason="X",
        trace_id="a" * 32,
        told_input_tokens=1 + 2 + 3 + 4 + 7,
        told_output_tokens=5 + 6 + 8,
        facts=PromptFacts("p", "s", "n", 1, 2, 3, 4, 5),
    )
    entry = apply(books(), record(told))
    assert isinstance(entry, Entry)
    message = convert.to_pb_entry(entry)
    assert convert.from_pb_attempt(message.attempt) == told
    assert convert.from_pb_attribution(message.attribution) == entry.attribution
    empty = [
        field.name
        for field in message.attempt.DESCRIPTOR.fields
        if field.name not in {known.name for known, _ in message.attempt.ListFields()}
    ]
    assert empty == []


def _item(**more: Any) -> pb.ReserveItem:
    item = pb.ReserveItem(hold_id="h", request_id="r", **more)
    item.attribution.tenant = "acme"
    item.attribution.tags["b"] = "2"
    item.attribution.tags["a"] = "1"
    return item


def test_what_only_carries_a_command_is_no_part_of_its_meaning() -> None:
    """A retry has another trace and less time left, and is the same command."""
    first = convert.from_pb_reserve(_item(traceparent="00-1", timeout_ms=100))
    again = convert.from_pb_reserve(_item(traceparent="00-2", timeout_ms=5))
    assert first.request_hash == again.request_hash


def test_the_default_said_or_unsaid_is_the_same_command() -> None:
    """120 s written out."""
    said = _item()
    said.hold_duration.seconds = 120
    unsaid = _item()
    assert (
        convert.from_pb_reserve(said).request_hash == convert.from_pb_reserve(unsaid).request_hash
    )
    assert not unsaid.HasField("hold_duration")


def test_any_other_difference_is_another_command() -> None:
    """Field by field; and the same bytes under another verb too."""
    hashes = {convert.meaning_hash(_item())}
    other = _item()
    other.request_id = "r2"
    hashes.add(convert.meaning_hash(other))
    other = _item()
    other.attribution.tags["a"] = "3"
    hashes.add(convert.meaning_hash(other))
    other = _item()
    other.worst_cases.add(model="cheap").usage.input_tokens = 1
    hashes.add(convert.meaning_hash(other))
    hold_id = new_id()
    hashes.add(convert.meaning_hash(pb.SettleItem(hold_id=hold_id)))
    hashes.add(convert.meaning_hash(pb.ReleaseItem(hold_id=hold_id)))
    assert len(hashes) == 6
