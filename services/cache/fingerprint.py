"""The name of a prompt's whole meaning, and of its place within a scope.

The fingerprint is the SHA-256 of the serialised prompt after normalisation (prose.py for
texts; key order and white space of JSON; absent settings and their plain defaults). Because
the message is hashed as a whole, a field that is added to the contract later parts prompts
from the first day, also one that this program does not know yet.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from spendgate.chat.v1 import chat_pb2

from catalog.foreign import ANTHROPIC_OPTIONS
from services.cache.prose import CaseFolding, fold, settle

# Changes whenever normalisation changes: answers stored under other rules must not be found.
RULES = b"spendgate.cache.fingerprint/1"
CONTEXT_RULES = b"spendgate.cache.context/1"
FINGERPRINT_CHARS = 64
_JSON_CACHED_CHARS_MAX = 64 * 1024
_JSON_CACHED_TEXTS_MAX = 256
_SCOPES_CACHED_MAX = 16_384

# Written by people: how they are typed says less than what they say. Texts of an assistant or
# a tool are data and stay to the byte.
_TYPED = frozenset({chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER, chat_pb2.ROLE_USER})
# Options that tell a provider where to book or cache a call, not what to answer.
_LABELS = frozenset(
    {"metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "user"}
)


@dataclass(frozen=True, slots=True)
class Names:
    """What a prompt is called: `key` names its whole meaning; `context` all of it but the words
    of the last user message, which are `text`. Both empty where more than words could differ."""

    key: str
    context: str = ""
    text: str = ""


def fingerprint(model: str, prompt: chat_pb2.Prompt, folding: CaseFolding) -> str:
    """64 lower-case hex digits, equal when model and prompt mean the same. Pure."""
    return names(model, prompt, folding).key


def names(
    model: str, prompt: chat_pb2.Prompt, folding: CaseFolding, *, semantic: bool = False
) -> Names:
    """The prompt's names; context and text only if `semantic`. Pure."""
    settled = chat_pb2.Prompt()
    settled.CopyFrom(prompt)
    _settle_messages(settled)
    _settle_json(settled)
    _settle_sampling(settled)
    last = settled.messages[-1] if settled.messages else None
    typed = last is not None and last.role == chat_pb2.ROLE_USER and last.content
    text = last.content if last is not None and typed else ""
    if last is not None and typed:
        last.content = fold(text, folding, lambda: _texts(settled.messages[:-1]))
    # The folding mode is part of the name: what "all" has merged must not be found by "safe".
    head = b"".join(_sized(piece.encode()) for piece in (folding.value, model))
    key = _digest(RULES, head, settled)
    if last is None or not text or not semantic:
        return Names(key)
    last.content = ""
    return Names(key, _digest(CONTEXT_RULES, head, settled), text)


def _digest(rules: bytes, head: bytes, settled: chat_pb2.Prompt) -> str:
    body = settled.SerializeToString(deterministic=True)
    return hashlib.sha256(_sized(rules) + head + body).hexdigest()


@lru_cache(maxsize=_SCOPES_CACHED_MAX)
def scope_tag(tenant: str, project: str, user: str) -> str:
    """43 characters that name a scope. Lengths go in first, so that no two scopes read alike."""
    pieces = b"".join(_sized(piece.encode()) for piece in (tenant, project, user))
    return base64.urlsafe_b64encode(hashlib.sha256(pieces).digest()).rstrip(b"=").decode()


def place(tag: str, name: str) -> str:
    """The key of a fingerprint in its scope. The braces keep a scope on one cluster node."""
    return f"sg:{{{tag}}}:x:{name}"


def is_cacheable(
    prompt: chat_pb2.Prompt, temperature_max: float, *, unset_temperature: bool = True
) -> bool:
    """Whether an earlier answer may stand for a new one.

    A caller who sets a temperature above the bound asks for variety. One who sets none takes
    what comes (unless the operator says otherwise), and one who asks for several answers gets
    the same several.
    """
    sampling = prompt.sampling
    if not sampling.HasField("temperature"):
        return unset_temperature
    return sampling.temperature <= temperature_max  # False for NaN too


@lru_cache(maxsize=_JSON_CACHED_TEXTS_MAX)
def _canonical_cached(text: str) -> str:
    return _canonical(text)


def canonical_json(text: str) -> str:
    """`text` with keys sorted and white space gone; numbers keep their spelling.

    Equal only for equal values. What is no JSON, or names a key twice, stands for itself.
    """
    if len(text) > _JSON_CACHED_CHARS_MAX:
        return _canonical(text)
    return _canonical_cached(text)


def _canonical(text: str) -> str:
    try:
        value = json.loads(
            text,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
            object_pairs_hook=_object,
        )
        return "j" + json.dumps(_marked(value), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "r" + text


class _Number(str):
    """A number as it was spelled: 1, 1.0 and 10e-1 may differ to a provider."""

    __slots__ = ()


def _marked(value: object) -> object:
    """`value` in strings that say what they were, so that 1 and "1" stay apart."""
    if isinstance(value, dict):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, _Number):
        return "n" + value
    if isinstance(value, str):
        return "s" + value
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _settle_messages(prompt: chat_pb2.Prompt) -> None:
    for message in prompt.messages:
        _unwrap(message)
        if message.role in _TYPED:
            message.content = settle(message.content)
            for part in message.parts:
                if part.WhichOneof("part") == "text":
                    part.text = settle(part.text)
        for call in message.tool_calls:
            call.arguments_json = _json_or_nothing(call.arguments_json)


def _unwrap(message: chat_pb2.Message) -> None:
    """One part of text is the same as plain content; unless it holds what we do not know."""
    if len(message.parts) != 1 or message.content:
        return
    part = message.parts[0]
    if part.WhichOneof("part") != "text":
        return
    if part.ByteSize() == chat_pb2.ContentPart(text=part.text).ByteSize():
        message.content = part.text
        message.ClearField("parts")


def _texts(messages: Iterable[chat_pb2.Message]) -> Iterator[str]:
    for message in messages:
        yield message.content
        for part in message.parts:
            yield part.text


def _settle_json(prompt: chat_pb2.Prompt) -> None:
    for tool in prompt.tools:
        tool.parameters_json = _json_or_nothing(tool.parameters_json)
    prompt.tool_choice_json = _json_or_nothing(prompt.tool_choice_json)
    prompt.response_format_json = _json_or_nothing(prompt.response_format_json)
    prompt.extra_json = _json_or_nothing(_without_labels(prompt.extra_json))


def _settle_sampling(prompt: chat_pb2.Prompt) -> None:
    if not prompt.HasField("sampling"):
        return
    sampling = prompt.sampling
    if sampling.choice_count == 1:
        sampling.ClearField("choice_count")
    if len(sampling.stop) > 1:
        stops = sorted(set(sampling.stop))
        sampling.ClearField("stop")
        sampling.stop.extend(stops)
    if sampling.ByteSize() == 0:
        prompt.ClearField("sampling")


def _without_labels(text: str) -> str:
    """The options that can change an answer; labels for the provider's own books cannot."""
    if not any(label in text for label in _LABELS):
        return text
    try:
        options = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(options, dict):
        return text
    kept = {name: value for name, value in options.items() if name not in _LABELS}
    own = kept.get(ANTHROPIC_OPTIONS)
    if isinstance(own, dict):
        inner = {name: value for name, value in own.items() if name not in _LABELS}
        kept[ANTHROPIC_OPTIONS] = inner
        if not inner:
            del kept[ANTHROPIC_OPTIONS]
    elif kept == options:
        return text
    return json.dumps(kept) if kept else ""


def _json_or_nothing(text: str) -> str:
    return canonical_json(text) if text else ""


def _sized(piece: bytes) -> bytes:
    return len(piece).to_bytes(8, "big") + piece
