"""What a request must look like. Raises InvalidFields; texts are never quoted."""

import re

from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from chassis.errors import FieldViolation, InvalidFields
from services.cache.fingerprint import FINGERPRINT_CHARS

SCOPE_NAME_BYTES_MAX = 128
MODEL_BYTES_MAX = 256
MESSAGES_MAX = 4_096
TOOLS_MAX = 128
# The gateway takes 4 MiB of text; this leaves room for what is around it.
PROMPT_BYTES_MAX = 8 * 1024 * 1024

_KEY = re.compile(f"[0-9a-f]{{{FINGERPRINT_CHARS}}}")


def check_lookup(item: pb.LookupItem) -> None:
    """Raises InvalidFields (SCOPE_INVALID, PROMPT_INVALID)."""
    check_scope(item.scope)
    found = [*_name("model", item.model, MODEL_BYTES_MAX, required=True), *_prompt(item.prompt)]
    if found:
        raise InvalidFields("PROMPT_INVALID", *found)


def check_store(item: pb.StoreItem) -> None:
    """Raises InvalidFields (SCOPE_INVALID, KEY_INVALID, ANSWER_NOT_STORABLE)."""
    check_scope(item.scope)
    if _KEY.fullmatch(item.key) is None:
        wanted = f"must be {FINGERPRINT_CHARS} lower-case hex digits, as Lookup gave them"
        raise InvalidFields("KEY_INVALID", FieldViolation("key", wanted))
    found = _name("answer.model", item.answer.model, MODEL_BYTES_MAX, required=True)
    if found:
        raise InvalidFields("ANSWER_NOT_STORABLE", *found)


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
