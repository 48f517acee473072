"""What requests must look like. Raises InvalidFields; texts are never quoted."""

import base64
import binascii

from spendgate.router.v1 import router_service_pb2 as pb

from catalog.schema import NAME_BYTES_MAX
from chassis.errors import FieldViolation, InvalidFields
from services.router.convert import CAPABILITIES

ATTRIBUTION_BYTES_MAX = 128
TOKENS_MAX = 10**9
CHOICES_MAX = 16
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
    if item.HasField("cost_max_nanos") and item.cost_max_nanos < 1:
        found.append(FieldViolation("cost_max_nanos", "must be at least 1"))
    for place, need in enumerate(item.needs):
        if need not in CAPABILITIES:
            found.append(FieldViolation(f"needs[{place}]", "is not a capability"))
            break
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
