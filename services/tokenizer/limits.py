"""The rules of chat.proto and tokenizer_service.proto, checked before anything is counted.

Field paths are relative to the item. Texts are never quoted.
"""

from collections.abc import Callable
from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from chassis.errors import FieldViolation, InvalidFields
from services.tokenizer.errors import (
    TextTooLarge,
    model_invalid,
    prompt_invalid,
    usage_report_invalid,
)
from services.tokenizer.media.pictures import DETAILS
from services.tokenizer.models import ENCODINGS

MODEL_BYTES_MAX: Final = 256
SCOPE_BYTES_MAX: Final = 512
TEXT_BYTES_MAX: Final = 4 * 1024 * 1024
MESSAGES_MAX: Final = 4096
PARTS_MAX: Final = 256
TOOL_CALLS_MAX: Final = 128
TOOLS_MAX: Final = 512
NAME_BYTES_MAX: Final = 64
TOOL_NAME_BYTES_MAX: Final = 128
TOOL_CALL_ID_BYTES_MAX: Final = 128
REQUEST_ID_BYTES_MAX: Final = 128
# Far beyond any window; keeps sums of them small.
TOKENS_MAX: Final = 10**9
STOPS_MAX: Final = 16
CHOICES_MAX: Final = 16
# A caller learns no more from the hundredth broken message than from the first few.
VIOLATIONS_MAX: Final = 20

_ROLES = frozenset(chat.Role.values()) - {chat.ROLE_UNSPECIFIED}
_SOUNDS = frozenset({"wav", "mp3"})

Refuse = Callable[[str, str], None]


def check_model(name: str, encoding: str = "") -> None:
    """Raises InvalidFields (MODEL_INVALID)."""
    if not name.strip():
        raise model_invalid("model", "is required")
    if bytes_over(name, MODEL_BYTES_MAX):
        raise model_invalid("model", f"is over {MODEL_BYTES_MAX} bytes")
    if encoding and encoding not in ENCODINGS:
        raise model_invalid("encoding", f"must be one of {', '.join(sorted(ENCODINGS))}")


def check_usage_report(item: pb.ReportUsageItem) -> None:
    """Raises InvalidFields (USAGE_REPORT_INVALID)."""
    if not item.request_id:
        raise usage_report_invalid("request_id", "is required")
    if bytes_over(item.request_id, REQUEST_ID_BYTES_MAX):
        raise usage_report_invalid("request_id", f"is over {REQUEST_ID_BYTES_MAX} bytes")
    if not 1 <= item.reported_tokens <= TOKENS_MAX:
        raise usage_report_invalid("reported_tokens", f"must be 1 to {TOKENS_MAX}")
    if not item.HasField("parts"):
        raise usage_report_invalid("parts", "is required")
    for field, value in item.parts.ListFields():
        if not 0 <= value <= TOKENS_MAX:
            raise usage_report_invalid(f"parts.{field.name}", f"must be 0 to {TOKENS_MAX}")


def check_scope(scope: str) -> None:
    """Raises InvalidFields (PROMPT_INVALID)."""
    if bytes_over(scope, SCOPE_BYTES_MAX):
        raise prompt_invalid("scope", f"is over {SCOPE_BYTES_MAX} bytes")


def check_text(text: str) -> None:
    """Raises TextTooLarge."""
    if over := bytes_over(text, TEXT_BYTES_MAX):
        raise TextTooLarge("text", over, TEXT_BYTES_MAX)


def check_prompt(prompt: chat.Prompt, known: int = 0) -> None:
    """The first `known` messages were checked before.

    Raises InvalidFields (PROMPT_INVALID) with the first few rules broken, or TextTooLarge.
    """
    violations: list[FieldViolation] = []

    def refuse(field: str, description: str) -> None:
        violations.append(FieldViolation(field, description))

    if not 1 <= len(prompt.messages) <= MESSAGES_MAX:
        refuse("prompt.messages", f"takes 1 to {MESSAGES_MAX} messages, got {len(prompt.messages)}")
    for place, message in enumerate(prompt.messages[known:MESSAGES_MAX], known):
        _check_message(f"prompt.messages[{place}]", message, refuse)
        if len(violations) >= VIOLATIONS_MAX:
            break
    if len(prompt.tools) > TOOLS_MAX:
        refuse("prompt.tools", f"takes at most {TOOLS_MAX} tools, got {len(prompt.tools)}")
    for place, tool in enumerate(prompt.tools[:TOOLS_MAX]):
        _check_name(f"prompt.tools[{place}].name", tool.name, tool.extra_json, refuse)
    _check_sampling(prompt.sampling, refuse)
    if violations:
        raise InvalidFields("PROMPT_INVALID", *violations[:VIOLATIONS_MAX])
    text_bytes = _text_bytes(prompt)
    if text_bytes > TEXT_BYTES_MAX:
        raise TextTooLarge("prompt", text_bytes, TEXT_BYTES_MAX)


def bytes_over(text: str, bytes_max: int) -> int:
    """The text's bytes in UTF-8 when they are over `bytes_max`, else 0."""
    if len(text) * 4 <= bytes_max:
        return 0
    size = _size(text)
    return size if size > bytes_max else 0


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _check_message(path: str, message: chat.Message, refuse: Refuse) -> None:
    role = message.role
    if role not in _ROLES:
        refuse(f"{path}.role", "is required and must be a known role")
    if message.content and message.parts:
        refuse(f"{path}.parts", "cannot be set beside content")
    elif not (message.content or message.parts or _may_be_empty(message)):
        refuse(f"{path}.content", "is required, or parts")
    if len(message.parts) > PARTS_MAX:
        refuse(f"{path}.parts", f"takes at most {PARTS_MAX} parts, got {len(message.parts)}")
    for place, part in enumerate(message.parts[:PARTS_MAX]):
        _check_part(f"{path}.parts[{place}]", part, refuse)
    if bytes_over(message.name, NAME_BYTES_MAX):
        refuse(f"{path}.name", f"is over {NAME_BYTES_MAX} bytes")
    if bytes_over(message.tool_call_id, TOOL_CALL_ID_BYTES_MAX):
        refuse(f"{path}.tool_call_id", f"is over {TOOL_CALL_ID_BYTES_MAX} bytes")
    if message.tool_calls:
        _check_calls(path, message, refuse)


def _check_calls(path: str, message: chat.Message, refuse: Refuse) -> None:
    calls = message.tool_calls
    if message.role != chat.ROLE_ASSISTANT:
        refuse(f"{path}.tool_calls", "is for the assistant's messages only")
    if len(calls) > TOOL_CALLS_MAX:
        refuse(f"{path}.tool_calls", f"takes at most {TOOL_CALLS_MAX} calls, got {len(calls)}")
    for place, call in enumerate(calls[:TOOL_CALLS_MAX]):
        if not call.id:
            refuse(f"{path}.tool_calls[{place}].id", "is required")
        if not call.name and not call.extra_json:
            refuse(f"{path}.tool_calls[{place}].name", "is required")


def _may_be_empty(message: chat.Message) -> bool:
    # A tool that has nothing to say is common, and an answer; a refusal is said elsewhere.
    if message.role == chat.ROLE_ASSISTANT:
        return bool(message.tool_calls or message.refusal or message.extra_json)
    return message.role == chat.ROLE_TOOL


def _check_part(path: str, part: chat.ContentPart, refuse: Refuse) -> None:
    kind = part.WhichOneof("part")
    if kind is None:
        if not part.extra_json:
            refuse(path, "must be text, an image or audio")
    elif kind == "image":
        scheme = part.image.url[:8].lower()
        if not scheme.startswith(("data:", "https://")):
            refuse(f"{path}.image.url", "must be a data: or https: URL")
        if part.image.detail not in DETAILS:
            refuse(f"{path}.image.detail", 'must be "low", "high", "original" or "auto"')
    elif kind == "audio":
        if not part.audio.data:
            refuse(f"{path}.audio.data", "is required")
        if part.audio.format not in _SOUNDS:
            refuse(f"{path}.audio.format", 'must be "wav" or "mp3"')


def _check_name(path: str, name: str, extra_json: str, refuse: Refuse) -> None:
    if not name and not extra_json:
        refuse(path, "is required")
    elif bytes_over(name, TOOL_NAME_BYTES_MAX):
        refuse(path, f"is over {TOOL_NAME_BYTES_MAX} bytes")


def _check_sampling(sampling: chat.Sampling, refuse: Refuse) -> None:
    # Written so that a NaN is refused.
    within = "prompt.sampling."
    if sampling.HasField("temperature") and not 0 <= sampling.temperature <= 2:
        refuse(within + "temperature", "must be 0 to 2")
    if sampling.HasField("top_p") and not 0 < sampling.top_p <= 1:
        refuse(within + "top_p", "must be above 0, at most 1")
    if sampling.HasField("output_tokens_max") and sampling.output_tokens_max < 1:
        refuse(within + "output_tokens_max", "must be at least 1")
    if len(sampling.stop) > STOPS_MAX:
        refuse(within + "stop", f"takes at most {STOPS_MAX} texts, got {len(sampling.stop)}")
    if sampling.HasField("choice_count") and not 1 <= sampling.choice_count <= CHOICES_MAX:
        refuse(within + "choice_count", f"must be 1 to {CHOICES_MAX}")
    if sampling.HasField("presence_penalty") and not -2 <= sampling.presence_penalty <= 2:
        refuse(within + "presence_penalty", "must be -2 to 2")
    if sampling.HasField("frequency_penalty") and not -2 <= sampling.frequency_penalty <= 2:
        refuse(within + "frequency_penalty", "must be -2 to 2")


def _text_bytes(prompt: chat.Prompt) -> int:
    """Bytes of all text that will be counted; pictures and sound are no text."""
    if prompt.ByteSize() <= TEXT_BYTES_MAX:  # the common case, in one step
        return 0
    total = _size(prompt.response_format_json)
    for message in prompt.messages:
        total += _size(message.content) + _size(message.refusal) + _size(message.extra_json)
        for part in message.parts:
            total += _size(part.text) + _size(part.extra_json)
        for call in message.tool_calls:
            total += _size(call.name) + _size(call.arguments_json) + _size(call.extra_json)
    for tool in prompt.tools:
        total += _size(tool.description) + _size(tool.parameters_json) + _size(tool.extra_json)
    return total
