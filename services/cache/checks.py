"""What a request must look like. Raises InvalidFields; texts are never quoted."""

import re
from collections.abc import Sequence

from google.protobuf import timestamp_pb2
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from chassis.batch import ITEMS_MAX
from chassis.errors import FieldViolation, InvalidFields
from services.cache.fingerprint import FINGERPRINT_CHARS
from services.cache.leases import LEASE_MS_MAX

SCOPE_NAME_BYTES_MAX = 128
MODEL_BYTES_MAX = 256
MESSAGES_MAX = 4_096
TOOLS_MAX = 512
# The gateway takes 4 MiB of text; this leaves room for what is around it.
PROMPT_BYTES_MAX = 8 * 1024 * 1024

TAGS_MAX = 16
TAG_BYTES_MAX = 200
SEMANTIC_TEXT_BYTES_MAX = 8_192
LEASE_BYTES_MAX = 64
TEMPERATURE_MAX = 2
WRONG_HIT_PPM_MAX = 200_000
KEYS_MAX = 1_000
FILTERS_MAX = 100
TIME_SECONDS_END = 253_402_300_800  # the year 10000

Violations = list[FieldViolation]

_KEY = re.compile(f"[0-9a-f]{{{FINGERPRINT_CHARS}}}")


def check_lookup(item: pb.LookupItem) -> None:
    """Raises InvalidFields (SCOPE_INVALID, PROMPT_INVALID, LEASE_INVALID)."""
    check_scope(item.scope)
    found = [*_name("model", item.model, MODEL_BYTES_MAX, required=True), *_prompt(item.prompt)]
    for field in ("feature", "user"):
        if name := getattr(item, field):
            found += _name(field, name, SCOPE_NAME_BYTES_MAX)
    if item.HasField("temperature_max") and not 0 <= item.temperature_max <= TEMPERATURE_MAX:
        found.append(FieldViolation("temperature_max", f"is between 0 and {TEMPERATURE_MAX}"))
    if not 0 <= item.wrong_hit_ppm_max <= WRONG_HIT_PPM_MAX:
        found.append(FieldViolation("wrong_hit_ppm_max", f"is between 1 and {WRONG_HIT_PPM_MAX}"))
    if found:
        raise InvalidFields("PROMPT_INVALID", *found)
    check_lease(item.lease_ms)


def check_store(item: pb.StoreItem) -> None:
    """Raises InvalidFields (SCOPE_INVALID, KEY_INVALID, ANSWER_NOT_STORABLE)."""
    check_scope(item.scope)
    check_key("key", item.key)
    found = [
        *_name("answer.model", item.answer.model, MODEL_BYTES_MAX, required=True),
        *_name("model_asked", item.model_asked, MODEL_BYTES_MAX),
        *_name("feature", item.feature, SCOPE_NAME_BYTES_MAX),
        *_name("user", item.user, SCOPE_NAME_BYTES_MAX),
        *_names("tags", item.tags, TAGS_MAX, TAG_BYTES_MAX),
    ]
    if item.answer.cost_nanos < 0:
        found.append(FieldViolation("answer.cost_nanos", "is at least 0"))
    if item.HasField("semantic"):
        if _KEY.fullmatch(item.semantic.context) is None:
            found.append(FieldViolation("semantic.context", "must be as Lookup gave it"))
        text = item.semantic.text
        found += _name("semantic.text", text, SEMANTIC_TEXT_BYTES_MAX, required=True)
    if found:
        raise InvalidFields("ANSWER_NOT_STORABLE", *found)


def check_key(field: str, key: str) -> None:
    """Raises InvalidFields (KEY_INVALID)."""
    if _KEY.fullmatch(key) is None:
        wanted = f"must be {FINGERPRINT_CHARS} lower-case hex digits, as Lookup gave them"
        raise InvalidFields("KEY_INVALID", FieldViolation(field, wanted))


def check_lease(lease_ms: int) -> None:
    """Raises InvalidFields (LEASE_INVALID)."""
    if not 0 <= lease_ms <= LEASE_MS_MAX:
        wanted = f"takes 0 to {LEASE_MS_MAX} ms, got {lease_ms}"
        raise InvalidFields("LEASE_INVALID", FieldViolation("lease_ms", wanted))


def check_lease_item(item: pb.LeaseItem) -> None:
    """Raises InvalidFields (SCOPE_INVALID, KEY_INVALID, LEASE_INVALID)."""
    check_scope(item.scope)
    check_key("key", item.key)
    check_lease(item.lease_ms)
    if found := _name("lease", item.lease, LEASE_BYTES_MAX, required=True):
        raise InvalidFields("LEASE_INVALID", *found)


def check_invalidate(request: pb.InvalidateRequest) -> None:
    """Raises InvalidFields (SCOPE_INVALID, FILTER_INVALID, KEY_INVALID)."""
    check_scope(request.scope)
    found = [
        *_names("keys", request.keys, KEYS_MAX, FINGERPRINT_CHARS),
        *_names("tags", request.tags, FILTERS_MAX, TAG_BYTES_MAX),
        *_names("features", request.features, FILTERS_MAX, SCOPE_NAME_BYTES_MAX),
        *_names("models", request.models, FILTERS_MAX, MODEL_BYTES_MAX),
    ]
    for field in ("store_time_start", "store_time_end"):
        if not _is_time(getattr(request, field)):
            found.append(FieldViolation(field, "is no valid time"))
    filters = ("keys", "tags", "features", "models")
    narrowed = any(getattr(request, name) for name in filters)
    narrowed |= request.HasField("store_time_start") or request.HasField("store_time_end")
    if narrowed == request.everything:
        wanted = "is required without a filter, and refused beside one"
        found.append(FieldViolation("everything", wanted))
    if found:
        raise InvalidFields("FILTER_INVALID", *found)
    for key in request.keys:
        check_key("keys", key)


def check_texts(texts: Sequence[str]) -> None:
    """Raises InvalidFields (ITEMS_INVALID, PROMPT_INVALID)."""
    if not 1 <= len(texts) <= ITEMS_MAX:
        wanted = f"takes 1 to {ITEMS_MAX} texts, got {len(texts)}"
        raise InvalidFields("ITEMS_INVALID", FieldViolation("texts", wanted))
    found: Violations = []
    for place, text in enumerate(texts):
        found += _name(f"texts[{place}]", text, SEMANTIC_TEXT_BYTES_MAX, required=True)
    if found:
        raise InvalidFields("PROMPT_INVALID", *found)


def check_stats(request: pb.StatsRequest) -> None:
    """Raises InvalidFields (SCOPE_INVALID, FILTER_INVALID)."""
    if found := _name("tenant", request.tenant, SCOPE_NAME_BYTES_MAX, required=True):
        raise InvalidFields("SCOPE_INVALID", *found)
    for field in ("start_time", "end_time"):
        if not _is_time(getattr(request, field)):
            raise InvalidFields("FILTER_INVALID", FieldViolation(field, "is no valid time"))


def _is_time(time: timestamp_pb2.Timestamp) -> bool:
    return 0 <= time.seconds < TIME_SECONDS_END and 0 <= time.nanos < 10**9


def _names(field: str, values: Sequence[str], count_max: int, bytes_max: int) -> Violations:
    if len(values) > count_max:
        return [FieldViolation(field, f"takes {count_max} at most, got {len(values)}")]
    found: Violations = []
    for place, value in enumerate(values):
        # The empty feature is a feature: none was told.
        required = field in {"keys", "tags"}
        found += _name(f"{field}[{place}]", value, bytes_max, required=required)
    return found


def check_scope(scope: pb.Scope) -> None:
    """Raises InvalidFields (SCOPE_INVALID)."""
    found = [
        *_name("scope.tenant", scope.tenant, SCOPE_NAME_BYTES_MAX, required=True),
        *_name("scope.project", scope.project, SCOPE_NAME_BYTES_MAX),
        *_name("scope.user", scope.user, SCOPE_NAME_BYTES_MAX),
    ]
    if found:
        raise InvalidFields("SCOPE_INVALID", *found)


def _prompt(prompt: chat_pb2.Prompt) -> list[FieldViolation]:
    found = []
    count = len(prompt.messages)
    if not 1 <= count <= MESSAGES_MAX:
        found.append(
            FieldViolation("prompt.messages", f"takes 1 to {MESSAGES_MAX} messages, got {count}")
        )
    if len(prompt.tools) > TOOLS_MAX:
        found.append(
            FieldViolation("prompt.tools", f"takes {TOOLS_MAX} at most, got {len(prompt.tools)}")
        )
    size = prompt.ByteSize()
    if size > PROMPT_BYTES_MAX:
        found.append(FieldViolation("prompt", f"takes {PROMPT_BYTES_MAX} bytes, got {size}"))
    if not found:
        for place, message in enumerate(prompt.messages):
            if message.role == chat_pb2.ROLE_UNSPECIFIED:
                found.append(FieldViolation(f"prompt.messages[{place}].role", "is required"))
                break
    return found


def _name(
    field: str, value: str, bytes_max: int, *, required: bool = False
) -> list[FieldViolation]:
    if required and not value:
        return [FieldViolation(field, "is required")]
    size = len(value.encode())
    if size > bytes_max:
        return [FieldViolation(field, f"takes {bytes_max} bytes, got {size}")]
    return []
