"""What requests must look like. Raises InvalidFields; texts are never quoted."""

import base64
import binascii
from math import isfinite

from spendgate.router.v1 import router_service_pb2 as pb

from catalog.schema import NAME_BYTES_MAX
from chassis.errors import FieldViolation, InvalidFields
from services.router.convert import CAPABILITIES

ATTRIBUTION_BYTES_MAX = 128
TOKENS_MAX = 10**9
CHOICES_MAX = 16
TEXT_BYTES_MAX = 65_536
DESCRIPTION_BYTES_MAX = 1_024
EMBEDDING_NUMBERS_MAX = 1_024
BUDGET_PERCENT_MAX = 1_000
ALLOWED_MODELS_MAX = 64
PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200

_TOKEN_PREFIX = b"after:"


def check_item(item: pb.RouteItem) -> None:
    """Raises InvalidFields (REQUEST_INVALID) with every field that breaks a rule."""
    found = [
        *_text("tenant", item.tenant, ATTRIBUTION_BYTES_MAX, required=True),
        *_text("feature", item.feature, ATTRIBUTION_BYTES_MAX),
        *_text("model", item.model, NAME_BYTES_MAX, required=True),
        *_number("input_tokens", item.input_tokens, 1, TOKENS_MAX),
        *_number("output_tokens_max", item.output_tokens_max, 0, TOKENS_MAX),
        *_number("choice_count", item.choice_count, 0, CHOICES_MAX),
    ]
    found += _prediction(item)
    if item.HasField("cost_max_nanos") and item.cost_max_nanos < 1:
        found.append(FieldViolation("cost_max_nanos", "must be at least 1"))
    for place, need in enumerate(item.needs):
        if need not in CAPABILITIES:
            found.append(FieldViolation(f"needs[{place}]", "is not a capability"))
            break
    if found:
        raise InvalidFields("REQUEST_INVALID", *found)


def _prediction(item: pb.RouteItem) -> list[FieldViolation]:
    """What is wrong with the fields that choice is predicted from."""
    found = [
        *_text("text", item.text, TEXT_BYTES_MAX),
        *_text("request_id", item.request_id, ATTRIBUTION_BYTES_MAX),
        *_text("task_description", item.task_description, DESCRIPTION_BYTES_MAX),
        *_text("region", item.region, ATTRIBUTION_BYTES_MAX),
        *_text("session_model", item.session_model, NAME_BYTES_MAX),
        *_number("budget_used_percent", item.budget_used_percent, 0, BUDGET_PERCENT_MAX),
        *_number("warm_input_tokens", item.warm_input_tokens, 0, TOKENS_MAX),
    ]
    if len(item.allowed_models) > ALLOWED_MODELS_MAX:
        wanted = f"takes {ALLOWED_MODELS_MAX} names, got {len(item.allowed_models)}"
        found.append(FieldViolation("allowed_models", wanted))
    for place, model in enumerate(item.allowed_models[:ALLOWED_MODELS_MAX]):
        found += _text(f"allowed_models[{place}]", model, NAME_BYTES_MAX)
    if len(item.embedding) > EMBEDDING_NUMBERS_MAX:
        wanted = f"takes {EMBEDDING_NUMBERS_MAX} numbers, got {len(item.embedding)}"
        found.append(FieldViolation("embedding", wanted))
    elif not all(map(isfinite, item.embedding)):
        found.append(FieldViolation("embedding", "must be finite numbers"))
    return found


def check_outcome(item: pb.Outcome) -> None:
    """Raises InvalidFields (REQUEST_INVALID) with every field that breaks a rule."""
    call = item.source == pb.OUTCOME_SOURCE_CALL
    found = [
        *_text("tenant", item.tenant, ATTRIBUTION_BYTES_MAX, required=True),
        *_text("request_id", item.request_id, ATTRIBUTION_BYTES_MAX, required=True),
        *_text("model", item.model, NAME_BYTES_MAX, required=True),
        *_number("latency_ms", item.latency_ms, 0, TOKENS_MAX),
        *_number("input_tokens", item.input_tokens, 0, TOKENS_MAX),
        *_number("cached_input_tokens", item.cached_input_tokens, 0, max(item.input_tokens, 0)),
        *_number("output_tokens", item.output_tokens, 0, TOKENS_MAX),
    ]
    if item.source not in pb.OutcomeSource.values() or not item.source:
        found.append(FieldViolation("source", "is required"))
    elif call == item.HasField("score"):
        found.append(FieldViolation("score", "is required, except of source CALL"))
    if not 0 <= item.score <= 1:
        found.append(FieldViolation("score", "must be 0 to 1"))
    if call != bool(item.status) or item.status not in pb.CallStatus.values():
        found.append(FieldViolation("status", "is required of source CALL, and of no other"))
    if found:
        raise InvalidFields("REQUEST_INVALID", *found)


def check_tenant(tenant: str) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    found = _text("tenant", tenant, ATTRIBUTION_BYTES_MAX, required=True)
    if found:
        raise InvalidFields("REQUEST_INVALID", *found)


def check_proposal(proposal_id: str) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    found = _text("proposal_id", proposal_id, ATTRIBUTION_BYTES_MAX, required=True)
    if found:
        raise InvalidFields("REQUEST_INVALID", *found)


def page_of(request: pb.ListModelsRequest) -> tuple[int, str]:
    """The size of the page, and the name it begins after. Raises InvalidFields (PAGE_INVALID)."""
    if not 0 <= request.page_size <= PAGE_SIZE_MAX:
        wanted = f"must be 1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE_DEFAULT}"
        raise InvalidFields("PAGE_INVALID", FieldViolation("page_size", wanted))
    return request.page_size or PAGE_SIZE_DEFAULT, _name_after(request.page_token)


def page_token(last_name: str) -> str:
    """The token of the page that begins after a name."""
    return base64.urlsafe_b64encode(_TOKEN_PREFIX + last_name.encode()).decode()


def _name_after(token: str) -> str:
    if not token:
        return ""
    try:
        content = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        if content.startswith(_TOKEN_PREFIX):
            return content.removeprefix(_TOKEN_PREFIX).decode()
    except (binascii.Error, UnicodeDecodeError):
        pass
    raise InvalidFields(
        "PAGE_INVALID", FieldViolation("page_token", "must be one that ListModels gave")
    )


def _text(
    field: str, value: str, bytes_max: int, *, required: bool = False
) -> list[FieldViolation]:
    if required and not value:
        return [FieldViolation(field, "is required")]
    size = len(value.encode())
    if size > bytes_max:
        return [FieldViolation(field, f"takes {bytes_max} bytes, got {size}")]
    return []


def _number(field: str, value: int, least: int, most: int) -> list[FieldViolation]:
    if least <= value <= most:
        return []
    return [FieldViolation(field, f"must be {least} to {most:,}")]
