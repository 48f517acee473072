"""The fleet's options, which are named as in OpenAI's API, as Anthropic's."""

from collections.abc import Callable
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.content import BETAS, OPTIONS, option_name
from gateway.openai.read import invalid, object_from, value_from
from gateway.providers.options import Options

_TEMPERATURE_MAX = 1.0
# Labels for the books of OpenAI and hints for its cache; they change no answer.
_LABELS = frozenset(
    {"metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "user"}
)
# Anthropic's own names, which callers of other doors may set beside the others.
_NATIVE = frozenset(
    {
        "thinking", "top_k", "cache_control", "container", "context_management", "mcp_servers",
        "output_config", "diagnostics",
    }
)  # fmt: skip
# What Anthropic's options may not speak over: the fields of the prompt say it.
_TAKEN = frozenset({"model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream"})
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
_CHOICES = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}


def render_options(prompt: chat_pb2.Prompt, options: Options) -> dict[str, Any]:
    """Sampling, tool choice, format of the answer and further options.

    The anthropic-beta flags stand under BETAS. Raises: InvalidFields where JSON text holds none or
    speaks over another field; OptionUnsupported for what Anthropic lacks.
    """
    extra = object_from(prompt.extra_json, "prompt.extra_json")
    own = extra.pop(OPTIONS, None) or {}
    if not isinstance(own, dict):
        raise invalid(f"prompt.extra_json.{OPTIONS}", "must be an object")
    for name in own:
        if name in _TAKEN:
            raise invalid(
                f"prompt.extra_json.{OPTIONS}", f"holds {name}, which has a field of its own"
            )
    body: dict[str, Any] = {name: extra.pop(name) for name in _NATIVE & extra.keys()}
    body.update(own)
    parallel = extra.pop("parallel_tool_calls", None)
    _add_tool_choice(body, prompt, parallel, options)
    _add_format(body, prompt.response_format_json, options)
    _add_sampling(body, prompt.sampling, options)
    for name, value in extra.items():
        _add_further(body, name, value, options)
    return body


def _add_sampling(body: dict[str, Any], sampling: chat_pb2.Sampling, options: Options) -> None:
    if sampling.HasField("temperature"):
        if sampling.temperature > _TEMPERATURE_MAX:
            options.lacks("temperature")
        else:
            body["temperature"] = sampling.temperature
    if sampling.HasField("top_p"):
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop_sequences"] = list(sampling.stop)
    if sampling.HasField("seed"):
        options.lacks("seed")
    if sampling.choice_count > 1:
        options.lacks("n")
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(sampling, name):
            options.lacks(name)


def _add_tool_choice(
    body: dict[str, Any], prompt: chat_pb2.Prompt, parallel: Any, options: Options
) -> None:
    choice: dict[str, Any] | None = None
    if prompt.tool_choice_json:
        told = value_from(prompt.tool_choice_json, "prompt.tool_choice_json")
        choice = _tool_choice(told)
        if choice is None:
            options.lacks("tool_choice")
    if parallel is False and prompt.tools:
        choice = dict(choice or _CHOICES["auto"])
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    if choice is not None:
        body["tool_choice"] = choice


def _tool_choice(told: Any) -> dict[str, Any] | None:
    """None: there is no such choice."""
    if isinstance(told, str):
        return dict(_CHOICES[told]) if told in _CHOICES else None
    if not isinstance(told, dict):
        return None
    function = told.get("function")
    if told.get("type") == "function" and isinstance(function, dict):
        return {"type": "tool", "name": function.get("name")}
    return told if told.get("type") in ("auto", "any", "tool", "none") else None


def _add_format(body: dict[str, Any], text: str, options: Options) -> None:
    if not text:
        return
    told = object_from(text, "prompt.response_format_json")
    kind = told.get("type")
    inner = told.get("json_schema")
    if kind == "json_schema" and isinstance(inner, dict) and isinstance(inner.get("schema"), dict):
        _config(body)["format"] = {"type": "json_schema", "schema": inner["schema"]}
    elif kind != "text":
        options.lacks("response_format")


def _effort(body: dict[str, Any], value: Any, options: Options) -> None:
    if value == "none":
        body.setdefault("thinking", {"type": "disabled"})
    elif value in _EFFORTS:
        _config(body).setdefault("effort", _EFFORTS[value])
    else:
        options.lacks("reasoning_effort")


def _config(body: dict[str, Any]) -> dict[str, Any]:
    config = dict(body.get("output_config") or {})
    body["output_config"] = config
    return config


def _service_tier(body: dict[str, Any], value: Any, options: Options) -> None:
    # The standard one is all that the door lets through: the others have prices of their own.
    body.setdefault("service_tier", "standard_only" if value == "default" else "auto")


def _betas(body: dict[str, Any], value: Any, options: Options) -> None:
    body.setdefault(BETAS, value)


def _nothing_else(name: str, *idle: Any) -> Callable[[dict[str, Any], Any, Options], None]:
    """An option that Anthropic lacks; those values of it ask for what happens anyway."""

    def add(_: dict[str, Any], value: Any, options: Options) -> None:
        if value not in idle:
            options.lacks(name)

    return add


_FURTHER: dict[str, Callable[[dict[str, Any], Any, Options], None]] = {
    "reasoning_effort": _effort,
    "service_tier": _service_tier,
    BETAS: _betas,
    "logprobs": _nothing_else("logprobs", False),
    "top_logprobs": _nothing_else("top_logprobs", 0),
    "logit_bias": _nothing_else("logit_bias", {}),
    "modalities": _nothing_else("modalities", ["text"]),
    "verbosity": _nothing_else("verbosity", "medium"),
}


def _add_further(body: dict[str, Any], name: str, value: Any, options: Options) -> None:
    if name in _LABELS:
        return
    add = _FURTHER.get(name)
    if add is None:
        options.lacks(option_name(name))
    else:
        add(body, value, options)
