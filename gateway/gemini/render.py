"""The fleet's own prompt as a request of Gemini's generateContent.

Schemas go as the JSON Schema that the caller sent (`parametersJsonSchema`, `responseJsonSchema`),
so nothing of them is lost. Source: ai.google.dev/api/generate-content.
"""

import re
from typing import Any

from spendgate.chat.v1 import chat_pb2

from chassis.errors import InvalidFields
from gateway.gemini.parts import content_parts, signature_of
from gateway.openai.read import object_from, value_from
from gateway.providers.options import Options
from gateway.providers.port import ProviderCall

# In ids that this gateway made up for calls that came without one.
OWN_CALL_ID = "call_sg_"
# What Google's pages name for calls that another model made: its validator passes them.
FOREIGN_SIGNATURE = "skip_thought_signature_validator"
_SIGNS_CALLS = re.compile(r"gemini-([3-9]|[1-9][0-9])\b", re.ASCII)

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "choice_count": "candidateCount",
}
# Gemini's own options, under its own names.
_OWN = frozenset({"safetySettings", "cachedContent", "labels"})
# Of OpenAI's: hints that change no answer, or what goes without saying.
_IDLE = frozenset({"prompt_cache_key", "safety_identifier", "service_tier", "include"})
# Tokens to think with, as Google's own translation from OpenAI's protocol has them.
_BUDGETS = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}


def render_gemini(call: ProviderCall, options: Options) -> dict[str, Any]:
    """The request's body. Raises: InvalidFields, OptionUnsupported."""
    prompt = call.prompt
    body: dict[str, Any] = {"contents": _contents(call, options)}
    system = [
        part
        for at, message in enumerate(prompt.messages)
        if message.role in {chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER}
        for part in content_parts(message, f"prompt.messages[{at}]", options)
    ]
    if system:
        body["systemInstruction"] = {"parts": system}
    if tools := _tools(prompt, options):
        body["tools"] = [{"functionDeclarations": tools}]
        body["toolConfig"] = {"functionCallingConfig": _calling(prompt, options)}
    config = _config(prompt, options)
    config["maxOutputTokens"] = call.output_tokens_max
    _add_extra(body, config, call, options)
    return {**body, "generationConfig": config}


def _contents(call: ProviderCall, options: Options) -> list[dict[str, Any]]:
    """The conversation. Results of tools that stand together make one turn."""
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for at, message in enumerate(call.prompt.messages):
        path = f"prompt.messages[{at}]"
        if message.role == chat_pb2.ROLE_ASSISTANT:
            names |= {each.id: each.name for each in message.tool_calls}
            contents.append({"role": "model", "parts": _said(message, path, call.model, options)})
        elif message.role == chat_pb2.ROLE_TOOL:
            answer = _result(message, path, names, options)
            last = contents[-1] if contents else {}
            if last.get("role") == "user" and "functionResponse" in last["parts"][-1]:
                last["parts"].append(answer)
            else:
                contents.append({"role": "user", "parts": [answer]})
        elif message.role == chat_pb2.ROLE_USER:
            contents.append({"role": "user", "parts": content_parts(message, path, options)})
    return contents


def _said(
    message: chat_pb2.Message, path: str, model: str, options: Options
) -> list[dict[str, Any]]:
    extra = object_from(message.extra_json, f"{path}.extra_json")
    parts = content_parts(message, path, options) if message.content or message.parts else []
    if message.refusal:
        parts.append({"text": message.refusal})
    signature = signature_of(extra)
    if signature:
        # The signature stands on the last piece of what was said.
        parts = parts or [{"text": ""}]
        parts[-1]["thoughtSignature"] = signature
    signed = False
    for each in message.tool_calls:
        told = object_from(each.extra_json, f"{path}.tool_calls.extra_json")
        if "type" in told:
            options.lacks("tool_calls")
            continue
        arguments = object_from(each.arguments_json, f"{path}.tool_calls.arguments_json")
        function: dict[str, Any] = {"name": each.name, "args": arguments}
        if not each.id.startswith(OWN_CALL_ID):
            function["id"] = each.id
        part: dict[str, Any] = {"functionCall": function}
        own = signature_of(told)
        if own:
            part["thoughtSignature"] = own
        elif not signed and not signature and _SIGNS_CALLS.match(call_name(model)):
            part["thoughtSignature"] = FOREIGN_SIGNATURE
        signed = True
        parts.append(part)
    return parts or [{"text": ""}]


def call_name(model: str) -> str:
    """The model's name without its kind of resource."""
    return model.removeprefix("models/")


def _result(
    message: chat_pb2.Message, path: str, names: dict[str, str], options: Options
) -> dict[str, Any]:
    parts = content_parts(message, path, options)
    text = "".join(part.get("text", "") for part in parts)
    try:
        response = object_from(text, path) if text.startswith("{") else {"result": text}
    except InvalidFields:
        response = {"result": text}
    told: dict[str, Any] = {
        "name": message.name or names.get(message.tool_call_id) or message.tool_call_id,
        "response": response,
    }
    if not message.tool_call_id.startswith(OWN_CALL_ID):
        told["id"] = message.tool_call_id
    if others := [part for part in parts if "text" not in part]:
        told["parts"] = others
    return {"functionResponse": told}


def _tools(prompt: chat_pb2.Prompt, options: Options) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    for at, tool in enumerate(prompt.tools):
        if "type" in object_from(tool.extra_json, f"prompt.tools[{at}].extra_json"):
            options.lacks("tools")
            continue
        told: dict[str, Any] = {"name": tool.name}
        if tool.description:
            told["description"] = tool.description
        if tool.parameters_json:
            path = f"prompt.tools[{at}].parameters_json"
            told["parametersJsonSchema"] = object_from(tool.parameters_json, path)
        tools.append(told)
    return tools


def _calling(prompt: chat_pb2.Prompt, options: Options) -> dict[str, Any]:
    # VALIDATED holds calls to their schemas, as `strict` asks.
    auto = "VALIDATED" if any(tool.strict for tool in prompt.tools) else "AUTO"
    if not prompt.tool_choice_json:
        return {"mode": auto}
    choice = value_from(prompt.tool_choice_json, "prompt.tool_choice_json")
    if isinstance(choice, str):
        mode = _MODES.get(choice, "AUTO")
        return {"mode": auto if mode == "AUTO" else mode}
    kind = choice.get("type")
    if kind == "function":
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    if kind == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = [tool["function"]["name"] for tool in allowed["tools"] if "function" in tool]
        mode = "ANY" if allowed.get("mode") == "required" else "VALIDATED"
        return {"mode": mode, "allowedFunctionNames": names}
    options.lacks("tool_choice")
    return {"mode": auto}


def _config(prompt: chat_pb2.Prompt, options: Options) -> dict[str, Any]:
    sampling = prompt.sampling
    config = {
        theirs: getattr(sampling, ours)
        for ours, theirs in _SAMPLING.items()
        if sampling.HasField(ours)
    }
    if sampling.stop:
        config["stopSequences"] = list(sampling.stop)
    if prompt.response_format_json:
        shape = object_from(prompt.response_format_json, "prompt.response_format_json")
        if shape.get("type") in {"json_object", "json_schema"}:
            config["responseMimeType"] = "application/json"
        if shape.get("type") == "json_schema":
            config["responseJsonSchema"] = (shape.get("json_schema") or {}).get("schema") or {}
    details = {
        part.image.detail
        for message in prompt.messages
        for part in message.parts
        if part.WhichOneof("part") == "image" and part.image.detail not in {"", "auto"}
    }
    if len(details) == 1 and (detail := details.pop()) in _RESOLUTIONS:
        config["mediaResolution"] = _RESOLUTIONS[detail]
    elif details:
        options.lacks("detail")
    return config


def _add_extra(
    body: dict[str, Any], config: dict[str, Any], call: ProviderCall, options: Options
) -> None:
    extra = object_from(call.prompt.extra_json, "prompt.extra_json")
    for name, value in extra.items():
        if name in _OWN:
            body[name] = value
        elif name == "generationConfig" and isinstance(value, dict):
            config.update({key: item for key, item in value.items() if key not in config})
        elif name == "reasoning_effort" and value in _BUDGETS:
            config["thinkingConfig"] = _thinking(str(value), call.model)
        elif name in _IDLE or _says_the_default(name, value):
            continue
        else:
            options.lacks(name)


def _says_the_default(name: str, value: Any) -> bool:
    defaults = {"parallel_tool_calls": True, "store": False, "logprobs": False}
    return defaults.get(name) is value or (name == "modalities" and value == ["text"])


def _thinking(effort: str, model: str) -> dict[str, Any]:
    """From Gemini 3 on a level, before it a number of tokens."""
    if _SIGNS_CALLS.match(call_name(model)):
        return {"thinkingLevel": "minimal" if effort == "none" else effort}
    return {"thinkingBudget": _BUDGETS[effort]}
