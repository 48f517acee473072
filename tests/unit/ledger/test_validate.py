"""What requests must look like: each rule is broken once, and the field is named."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import duration_pb2
from google.protobuf.message import Message
from spendgate.ledger.v1 import budget_pb2, entry_pb2, key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from chassis.errors import InvalidFields
from services.ledger import validate, validate_desk
from tests.unit.ledger.making import new_id

LONG = "é" * 65


def _reserve() -> pb.ReserveItem:
    item = pb.ReserveItem(hold_id=new_id(), request_id="r")
    item.attribution.tenant = "acme"
    item.worst_cases.add(model="m").usage.input_tokens = 1
    return item


def _attempt() -> entry_pb2.Attempt:
    attempt = entry_pb2.Attempt(
        entry_id=new_id(),
        kind=entry_pb2.ENTRY_KIND_CALL,
        outcome=entry_pb2.ATTEMPT_OUTCOME_OK,
        attempt_number=1,
        model_asked="auto",
        model_used="m",
        usage_source=entry_pb2.USAGE_SOURCE_REPORTED,
    )
    attempt.usage.input_tokens = 1
    return attempt


def _settle() -> pb.SettleItem:
    return pb.SettleItem(hold_id=new_id(), attempts=[_attempt()])


def _release() -> pb.ReleaseItem:
    failed = _attempt()
    failed.outcome = entry_pb2.ATTEMPT_OUTCOME_FAILED
    failed.ClearField("usage")
    return pb.ReleaseItem(hold_id=new_id(), attempts=[failed])


def _record() -> pb.RecordItem:
    item = pb.RecordItem(request_id="r", attempt=_attempt())
    item.attribution.tenant = "acme"
    return item


def _budget() -> pb.CreateBudgetRequest:
    return pb.CreateBudgetRequest(
        budget_id="b",
        scope=budget_pb2.BudgetScope(tenant="acme"),
        window=budget_pb2.BUDGET_WINDOW_DAY,
        limit_nanos=0,
    )


def _update() -> pb.UpdateBudgetRequest:
    request = pb.UpdateBudgetRequest()
    request.budget.budget_id, request.budget.scope.tenant = "b", "acme"
    request.update_mask.paths.append("limit_nanos")
    return request


def _key() -> pb.CreateKeyRequest:
    return pb.CreateKeyRequest(key_id="k", tenant="acme")


def _report() -> pb.ReportRequest:
    return pb.ReportRequest(tenant="acme", group_by=[pb.DIMENSION_USER])


def _set(path: str, value: Any) -> Callable[[Any], None]:
    """Sets a field by its path; "attempts.0.kind" goes into a list."""

    def change(message: Any) -> None:
        *parents, name = path.split(".")
        for parent in parents:
            message = message[int(parent)] if parent.isdigit() else getattr(message, parent)
        if isinstance(value, Message):
            getattr(message, name).CopyFrom(value)
        elif isinstance(value, list):
            del getattr(message, name)[:]
            getattr(message, name).extend(value)
        elif value is None:
            message.ClearField(name)
        else:
            setattr(message, name, value)

    return change


def _tags(count: int) -> Callable[[Any], None]:
    return lambda item: item.attribution.tags.update({f"t{n}": "" for n in range(count)})


def _twins(item: Any) -> None:
    item.attempts.append(item.attempts[0])


def _unasked_usage(item: Any) -> None:
    item.attempts[0].usage_source = entry_pb2.USAGE_SOURCE_NONE


STEP = entry_pb2.Counterfactual(cause=entry_pb2.SAVING_CAUSE_CACHE, model="m")
WHOLE_STEP = entry_pb2.Counterfactual(
    cause=entry_pb2.SAVING_CAUSE_CACHE, model="m", usage=_attempt().usage
)
SECONDS = duration_pb2.Duration
BROKEN: list[tuple[Callable[[Any], None], Callable[[], Any], Callable[[Any], None], str]] = [
    (validate.check_reserve, _reserve, _set("hold_id", ""), "hold_id"),
    (validate.check_reserve, _reserve, _set("hold_id", new_id().upper()), "hold_id"),
    (validate.check_reserve, _reserve, _set("request_id", ""), "request_id"),
    (validate.check_reserve, _reserve, _set("request_id", "a\x00b"), "request_id"),
    (validate.check_reserve, _reserve, _set("attribution", None), "attribution.tenant"),
    (validate.check_reserve, _reserve, _set("attribution.user", LONG), "attribution.user"),
    (validate.check_reserve, _reserve, _tags(17), "attribution.tags"),
    (validate.check_reserve, _reserve, _set("worst_cases", []), "worst_cases"),
    (validate.check_reserve, _reserve, _set("worst_cases.0.model", ""), "worst_cases[0].model"),
    (validate.check_reserve, _reserve, _set("worst_cases.0.usage", None), "worst_cases[0].usage"),
    (
        validate.check_reserve,
        _reserve,
        _set("worst_cases.0.usage.output_tokens", -1),
        "worst_cases[0].usage.output_tokens",
    ),
    (validate.check_reserve, _reserve, _set("hold_duration", SECONDS()), "hold_duration"),
    (
        validate.check_reserve,
        _reserve,
        _set("hold_duration", SECONDS(seconds=3600, nanos=1)),
        "hold_duration",
    ),
    (validate.check_settle, _settle, _set("attempts", []), "attempts"),
    (validate.check_settle, _settle, _set("attempts", [_attempt() for _ in range(17)]), "attempts"),
    (validate.check_settle, _settle, _twins, "attempts[1].entry_id"),
    (validate.check_settle, _settle, _set("attempts.0.kind", 0), "attempts[0].kind"),
    (validate.check_settle, _settle, _set("attempts.0.kind", 99), "attempts[0].kind"),
    (validate.check_settle, _settle, _set("attempts.0.outcome", 0), "attempts[0].outcome"),
    (
        validate.check_settle,
        _settle,
        _set("attempts.0.attempt_number", 0),
        "attempts[0].attempt_number",
    ),
    (validate.check_settle, _settle, _set("attempts.0.model_used", ""), "attempts[0].model_used"),
    (validate.check_settle, _settle, _unasked_usage, "attempts[0].usage_source"),
    (validate.check_settle, _settle, _set("attempts.0.usage", None), "attempts[0].usage"),
    (validate.check_settle, _settle, _set("attempts.0.latency_ms", -1), "attempts[0].latency_ms"),
    (
        validate.check_settle,
        _settle,
        _set("attempts.0.error_reason", "lower"),
        "attempts[0].error_reason",
    ),
    (validate.check_settle, _settle, _set("attempts.0.trace_id", "xyz"), "attempts[0].trace_id"),
    (
        validate.check_settle,
        _settle,
        _set("attempts.0.counterfactuals", [WHOLE_STEP] * 5),
        "attempts[0].counterfactuals",
    ),
    (
        validate.check_settle,
        _settle,
        _set("attempts.0.counterfactuals", [STEP]),
        "attempts[0].counterfactuals[0].usage",
    ),
    (validate.check_release, _release, _set("hold_id", "x"), "hold_id"),
    (
        validate.check_release,
        _release,
        _set("attempts.0.usage.input_tokens", 1),
        "attempts[0].usage",
    ),
    (
        validate.check_release,
        _release,
        _set("attempts.0.outcome", entry_pb2.ATTEMPT_OUTCOME_OK),
        "attempts[0].usage",
    ),
    (validate.check_record, _record, _set("attempt", None), "attempt"),
    (validate.check_record, _record, _set("attempt.entry_id", ""), "attempt.entry_id"),
    (validate_desk.check_new_budget, _budget, _set("budget_id", ""), "budget_id"),
    (validate_desk.check_new_budget, _budget, _set("scope", None), "scope.tenant"),
    (validate_desk.check_new_budget, _budget, _set("window", 0), "window"),
    (validate_desk.check_new_budget, _budget, _set("limit_nanos", None), "limit_nanos"),
    (validate_desk.check_new_budget, _budget, _set("limit_nanos", -1), "limit_nanos"),
    (validate_desk.check_update, _update, _set("update_mask.paths", []), "update_mask"),
    (validate_desk.check_update, _update, _set("update_mask.paths", ["window"]), "update_mask"),
    (validate_desk.check_update, _update, _set("budget.limit_nanos", -1), "budget.limit_nanos"),
    (validate_desk.check_new_key, _key, _set("key_id", ""), "key_id"),
    (validate_desk.check_new_key, _key, _set("role", 99), "role"),
    (validate_desk.check_new_key, _key, _set("lifetime", SECONDS()), "lifetime"),
    (validate.check_report, _report, _set("tenant", ""), "tenant"),
    (validate.check_report, _report, _set("group_by", [1, 2, 3, 4]), "group_by"),
    (validate.check_report, _report, _set("group_by", [1, 1]), "group_by"),
    (validate.check_report, _report, _set("group_by", [0]), "group_by[0]"),
]


@pytest.mark.parametrize(("check", "make", "change", "field"), BROKEN)
def test_a_broken_rule_names_its_field(
    check: Callable[[Any], None],
    make: Callable[[], Any],
    change: Callable[[Any], None],
    field: str,
) -> None:
    """Sound before the change, refused for that field alone after it."""
    message = make()
    check(message)
    change(message)
    with pytest.raises(InvalidFields) as caught:
        check(message)
    assert caught.value.reason == "REQUEST_INVALID"
    assert {violation.field for violation in caught.value.violations} == {field}


def test_all_violations_are_told_at_once_and_never_quote_what_was_sent() -> None:
    """Up to a limit."""
    item = pb.ReserveItem(hold_id="secret-1", request_id="secret-2" * 30)
    for _ in range(100):
        item.worst_cases.add()
    with pytest.raises(InvalidFields) as caught:
        validate.check_reserve(item)
    fields = [violation.field for violation in caught.value.violations]
    assert {"hold_id", "request_id", "attribution.tenant", "worst_cases"} <= set(fields)
    assert len(fields) <= validate.VIOLATIONS_MAX
    assert "secret" not in str([violation.description for violation in caught.value.violations])


def test_every_default_is_sound() -> None:
    """What the contract leaves open may be left out."""
    validate_desk.check_new_key(_key())
    assert _key().role == key_pb2.KEY_ROLE_UNSPECIFIED
    validate.check_report(pb.ReportRequest(tenant="acme"))
    validate.check_release(pb.ReleaseItem(hold_id=new_id()))
