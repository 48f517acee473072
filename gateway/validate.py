"""What the door itself checks of a request; the tokenizer checks messages and tools."""

import math
from collections.abc import Iterator
from typing import Any

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from catalog.caching import TtlClassName
from chassis.errors import FieldViolation, InvalidFields
from gateway.anthropic.unpriced import unpriced
from gateway.openai.read import object_from, value_from

NAME_BYTES_MAX = 128
MODEL_BYTES_MAX = 256
TAGS_MAX = 16
TAG_NAME_BYTES_MAX = 64
TAG_VALUE_BYTES_MAX = 128
# Budgets count on tags that begin so to be what a caller's token claims.
CLAIM_PREFIX = "claim."
KEY_BYTES_MAX = 128
TTL_CLASSES = tuple(each.value for each in TtlClassName)
OUTPUT_TOKENS_MAX = 10**9
CHOICES_MAX = 16
KEEP_PERCENT_MAX = 99
CONTEXT_TOKENS_MAX = 10**9
STOPS_MAX = 16
# What other tiers and tools of the provider's own cost is not modelled yet: passing them
# through would book a wrong price.
STANDARD_TIERS = ("auto", "default", "standard", None)
UNPRICED_OPTIONS = frozenset({"web_search_options"})
UNPRICED_TOOLS = (
    "web_search", "file_search", "code_interpreter", "code_execution", "image_generation",
    "google_",
)  # fmt: skip
_REASON = "REQUEST_INVALID"


def check_request(
    request: pb.CompleteRequest | pb.StreamCompleteRequest, prompt_bytes_max: int
) -> None:
    """Raises: InvalidFields with every violation; none quotes what was sent."""
    # First and alone: what is too large is not looked at any further.
    if request.prompt.ByteSize() > prompt_bytes_max:
        raise InvalidFields(
            _REASON, FieldViolation("prompt", f"takes at most {prompt_bytes_max} bytes")
        )
    violations = [
        *_of_model(request.model),
        *_of_sampling(request.prompt.sampling),
        *options_violations(request.options),
        *_of_json(request.prompt),
    ]
    if not request.prompt.messages:
        violations.append(FieldViolation("prompt.messages", "needs at least one message"))
    if isinstance(request, pb.StreamCompleteRequest) and request.prompt.sampling.choice_count > 1:
        violations.append(
            FieldViolation("prompt.sampling.choice_count", "a stream draws one answer only")
        )
    if violations:
        raise InvalidFields(_REASON, *violations)


def _of_model(model: str) -> Iterator[FieldViolation]:
    if not model:
        yield FieldViolation("model", "is required: a configured model's name, or auto")
    elif len(model.encode()) > MODEL_BYTES_MAX:
        yield FieldViolation("model", f"takes at most {MODEL_BYTES_MAX} bytes")


def _of_sampling(sampling: chat_pb2.Sampling) -> Iterator[FieldViolation]:
    bounds: tuple[tuple[str, float, float], ...] = (
        ("temperature", 0, 2),
        ("output_tokens_max", 1, OUTPUT_TOKENS_MAX),
        ("choice_count", 1, CHOICES_MAX),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
    )
    for name, low, high in bounds:
        if sampling.HasField(name):
            value = getattr(sampling, name)
            if not math.isfinite(value) or not low <= value <= high:
                yield FieldViolation(f"prompt.sampling.{name}", f"is between {low} and {high}")
    if sampling.HasField("top_p") and not 0 < sampling.top_p <= 1:
        yield FieldViolation("prompt.sampling.top_p", "is above 0 and at most 1")
    if len(sampling.stop) > STOPS_MAX:
        yield FieldViolation("prompt.sampling.stop", f"takes at most {STOPS_MAX} texts")


def options_violations(options: pb.RequestOptions) -> Iterator[FieldViolation]:
    """What is wrong with a caller's choices."""
    for name in ("feature", "user", "project", "session"):
        if len(getattr(options, name).encode()) > NAME_BYTES_MAX:
            yield FieldViolation(f"options.{name}", f"takes at most {NAME_BYTES_MAX} bytes")
    if len(options.tags) > TAGS_MAX:
        yield FieldViolation("options.tags", f"takes at most {TAGS_MAX} tags")
    for name, value in options.tags.items():
        if name.startswith(CLAIM_PREFIX):
            yield FieldViolation("options.tags", f'"{CLAIM_PREFIX}" begins names of the house only')
        if not 0 < len(name.encode()) <= TAG_NAME_BYTES_MAX:
            yield FieldViolation("options.tags", f"names have 1 to {TAG_NAME_BYTES_MAX} bytes")
        if len(value.encode()) > TAG_VALUE_BYTES_MAX:
            yield FieldViolation("options.tags", f"values have at most {TAG_VALUE_BYTES_MAX} bytes")
    if options.HasField("cost_max_nanos") and options.cost_max_nanos < 1:
        yield FieldViolation("options.cost_max_nanos", "is at least 1")
    key = options.idempotency_key
    if key and not (key.isascii() and key.isprintable() and len(key) <= KEY_BYTES_MAX):
        yield FieldViolation(
            "options.idempotency_key", f"takes at most {KEY_BYTES_MAX} bytes of printable ASCII"
        )
    if options.cache_ttl_class and options.cache_ttl_class not in TTL_CLASSES:
        yield FieldViolation("options.cache_ttl_class", f"is one of {', '.join(TTL_CLASSES)}")
    yield from _of_shaping(options)
    if options.cache_mode not in pb.CacheMode.values():
        yield FieldViolation("options.cache_mode", "is not a mode this gateway knows")


def _of_shaping(options: pb.RequestOptions) -> Iterator[FieldViolation]:
    compression, context = options.compression, options.context
    if compression.level not in pb.CompressionLevel.values():
        yield FieldViolation("options.compression.level", "is not a level this gateway knows")
    if not 0 <= compression.keep_percent <= KEEP_PERCENT_MAX:
        yield FieldViolation(
            "options.compression.keep_percent", f"is between 1 and {KEEP_PERCENT_MAX}"
        )
    if context.policy not in pb.ContextPolicy.values():
        yield FieldViolation("options.context.policy", "is not a policy this gateway knows")
    if len(context.summary_model.encode()) > MODEL_BYTES_MAX:
        yield FieldViolation(
            "options.context.summary_model", f"takes at most {MODEL_BYTES_MAX} bytes"
        )
    for name in ("budget_tokens", "expected_rest_turns"):
        if not 0 <= getattr(context, name) <= CONTEXT_TOKENS_MAX:
            yield FieldViolation(
                f"options.context.{name}", f"is between 0 and {CONTEXT_TOKENS_MAX}"
            )


def _of_json(prompt: chat_pb2.Prompt) -> Iterator[FieldViolation]:
    """JSON that would break only at the provider, and options that would be priced wrongly."""
    texts = [
        ("prompt.tool_choice_json", prompt.tool_choice_json, value_from),
        ("prompt.response_format_json", prompt.response_format_json, value_from),
        ("prompt.extra_json", prompt.extra_json, object_from),
    ]
    texts += [
        (f"prompt.tools[{place}].parameters_json", tool.parameters_json, object_from)
        for place, tool in enumerate(prompt.tools)
    ]
    yield from _unpriced_tools(prompt)
    for path, text, read in texts:
        if not text:
            continue
        try:
            value = read(text, path)
        except InvalidFields as error:
            yield from error.violations
            continue
        if path == "prompt.extra_json":
            yield from _unpriced_options(value)
            yield from (FieldViolation(field, why) for field, why in unpriced(value))


def _unpriced_tools(prompt: chat_pb2.Prompt) -> Iterator[FieldViolation]:
    for place, tool in enumerate(prompt.tools):
        path = f"prompt.tools[{place}].extra_json"
        try:
            kind = object_from(tool.extra_json, path).get("type")
        except InvalidFields as error:
            yield from error.violations
            continue
        if isinstance(kind, str) and kind.startswith(UNPRICED_TOOLS):
            yield FieldViolation(
                f"prompt.tools[{place}]", "is billed apart from tokens, which has no price here"
            )


def _unpriced_options(extra: dict[str, Any]) -> Iterator[FieldViolation]:
    if extra.get("service_tier", "default") not in STANDARD_TIERS:
        yield FieldViolation(
            "prompt.extra_json.service_tier", "only the standard tier has a price here"
        )
    for option in UNPRICED_OPTIONS & extra.keys():
        yield FieldViolation(
            f"prompt.extra_json.{option}", "is billed apart from tokens, which has no price here"
        )
