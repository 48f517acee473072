"""What tool definitions, tool calls and a schema for the answer cost."""

import json
from typing import Any, Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.errors import prompt_invalid
from services.tokenizer.foreign import measure_extra
from services.tokenizer.meter import Meter, Tally

# OpenAI's cookbook, section 7 (the same for both vocabularies; the tokens of a function differ).
_PROPERTIES_START: Final = 3
_PROPERTY: Final = 3
_ENUM_START: Final = -3
_ENUM_ITEM: Final = 3
_TOOLS_END: Final = 12
# What the formula covers of a property. Anything else is rendered in a way nobody published.
_FLAT_KEYS: Final = frozenset({"type", "description", "enum"})
_SCHEMA_BOUND_PERMILLE: Final = 400

# A call: markup around name and arguments. From the second on, a wrapper and markup that users
# measured at 49 tokens for the second and 25 for each later one, their content included.
_CALL: Final = 3
_SECOND_CALL: Final = 40
_LATER_CALL: Final = 16
_CALL_BOUND_PERMILLE: Final = 1_000


def measure_tools(prompt: chat.Prompt, meter: Meter, tally: Tally) -> None:
    """Adds the definitions of the prompt's tools and of its answer's schema.

    Raises: InvalidFields when a schema that must be read is no JSON object.
    """
    rules = meter.model.chat
    if prompt.tools:
        tally.add(rules.tools_preamble_tokens, rules.bound_permille)
        for place, tool in enumerate(prompt.tools):
            schema = _json_object(tool.parameters_json, f"prompt.tools[{place}].parameters_json")
            if tool.name and rules.function_tokens is not None:
                _measure_function(tool, schema, meter, tally, rules.function_tokens)
            else:
                _measure_as_json(tool, meter, tally)
            if tool.extra_json:
                measure_extra(tool.extra_json, meter, tally)
        if rules.function_tokens is not None:
            tally.add(_TOOLS_END, rules.bound_permille)
    _measure_response_format(prompt.response_format_json, meter, tally)


def measure_calls(message: chat.Message, meter: Meter, tally: Tally) -> None:
    """Adds the tool calls of an assistant's message."""
    for place, call in enumerate(message.tool_calls):
        markup = _CALL if place == 0 else _SECOND_CALL if place == 1 else _LATER_CALL
        tally.add(markup, _CALL_BOUND_PERMILLE)
        meter.text(call.name, tally)
        meter.text(call.arguments_json, tally)
        if call.extra_json:
            measure_extra(call.extra_json, meter, tally)


def _measure_function(
    tool: chat.Tool, schema: dict[str, Any], meter: Meter, tally: Tally, function_tokens: int
) -> None:
    bound = meter.model.chat.bound_permille
    tally.add(function_tokens, bound)
    meter.text(f"{tool.name}:{_without_dot(tool.description)}", tally)
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return
    tally.add(_PROPERTIES_START, bound)
    for key, value in properties.items():
        tally.add(_PROPERTY, bound)
        _measure_property(key, value if isinstance(value, dict) else {}, meter, tally)


def _measure_property(key: str, value: dict[str, Any], meter: Meter, tally: Tally) -> None:
    bound = meter.model.chat.bound_permille
    kind, description = value.get("type", ""), value.get("description", "")
    enum = value.get("enum")
    if isinstance(enum, list):
        tally.add(_ENUM_START, bound)
        for item in enum:
            tally.add(_ENUM_ITEM, bound)
            meter.text(item if isinstance(item, str) else _compact(item), tally)
    shown_kind = kind if isinstance(kind, str) else _compact(kind)
    shown = _without_dot(description) if isinstance(description, str) else _compact(description)
    meter.text(f"{key}:{shown_kind}:{shown}", tally)
    unpublished = {name: part for name, part in value.items() if name not in _FLAT_KEYS}
    if unpublished:
        meter.text(_compact(unpublished), tally, _SCHEMA_BOUND_PERMILLE)


def _measure_as_json(tool: chat.Tool, meter: Meter, tally: Tally) -> None:
    for text in (tool.name, tool.description, tool.parameters_json):
        meter.text(text, tally, meter.model.chat.bound_permille)


def _measure_response_format(text: str, meter: Meter, tally: Tally) -> None:
    what = _json_object(text, "prompt.response_format_json")
    if what.get("type") == "json_schema":
        meter.text(_compact(what.get("json_schema")), tally, _SCHEMA_BOUND_PERMILLE)


def _json_object(text: str, field: str) -> dict[str, Any]:
    """The object in `text`, an empty one when there is no text."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except RecursionError:
        raise prompt_invalid(field, "is nested too deeply") from None
    except ValueError:
        raise prompt_invalid(field, "is not valid JSON") from None
    if not isinstance(value, dict):
        raise prompt_invalid(field, "is not a JSON object")
    return value


def _compact(value: object) -> str:
    # What json.loads gave has no deeper nesting than json.dumps can take again, but for wide
    # stacks of ours below it.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without_dot(text: str) -> str:
    return text.removesuffix(".")
