"""Servers that speak OpenAI's chat completions, Azure's among them, behind the provider port."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.for_others import chat_prompt
from gateway.openai.answer import BadAnswer, read_answer, read_chunk
from gateway.openai.render import render_prompt
from gateway.openai.usage import UsageReading
from gateway.providers.dialects import FOREIGN_FIELDS, Dialect, dialect_of
from gateway.providers.options import Options
from gateway.providers.port import ProviderAnswer, ProviderCall, ProviderEnd
from gateway.providers.prompt_cache import cache_key
from gateway.providers.wire import CutOff, Line, WireProvider, json_of

_DONE = b"[DONE]"


class Address:
    """Where calls of one server go and what opens it. `base_url` goes up to and includes /v1."""

    def __init__(self, base_url: str, api_key: SecretStr | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = api_key

    def url(self, path: str, model: str) -> str:
        """The URL of a path such as "/embeddings", for a model by its upstream name."""
        del model
        return self._base_url + path

    def headers(self) -> Mapping[str, str]:
        """The key."""
        if self._key is None:
            return {}
        return {"Authorization": f"Bearer {self._key.get_secret_value()}"}


class AzureAddress(Address):
    """A resource of Azure OpenAI: `base_url` is its endpoint, without a path.

    Without a version the v1 API is called, which takes the deployment's name as the model; with a
    dated one ("2024-10-21") the path names the deployment.
    """

    def __init__(
        self, base_url: str, api_key: SecretStr | None, api_version: str | None = None
    ) -> None:
        endpoint = base_url.rstrip("/").removesuffix("/openai/v1").removesuffix("/openai")
        super().__init__(endpoint, api_key)
        self._version = api_version

    def url(self, path: str, model: str) -> str:
        """The URL of a path, for a deployment."""
        if self._version is None or not self._version[:1].isdigit():
            query = "" if self._version is None else "?" + urlencode({"api-version": self._version})
            return f"{self._base_url}/openai/v1{path}{query}"
        deployment = quote(model, safe="")
        query = urlencode({"api-version": self._version})
        return f"{self._base_url}/openai/deployments/{deployment}{path}?{query}"

    def headers(self) -> Mapping[str, str]:
        """The key, in Azure's own header."""
        return {} if self._key is None else {"api-key": self._key.get_secret_value()}


class ChatWire:
    """gateway.providers.wire.Wire: OpenAI's chat completions in one dialect."""

    def __init__(self, address: Address, dialect: Dialect, *, prompt_caching: bool = True) -> None:
        self._address = address
        self._dialect = dialect
        self._keys = dialect.prompt_cache_key and prompt_caching

    def url(self, call: ProviderCall, *, stream: bool) -> str:
        """Where the call goes."""
        del stream
        return self._address.url("/chat/completions", call.model)

    def headers(self) -> Mapping[str, str]:
        """The operator's key."""
        return self._address.headers()

    def render(self, call: ProviderCall, options: Options, *, stream: bool) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        dialect = self._dialect
        told = _without_other_protocols(render_prompt(call.prompt), options, dialect)
        told = options.without(told, sorted(dialect.lacking))
        if dialect.one_choice and told.get("n", 1) > 1:
            told = options.without(told, ["n"])
        for message in told["messages"]:
            _fit(message, dialect)
        body: dict[str, Any] = {
            "model": call.model,
            **{dialect.renamed.get(name, name): value for name, value in told.items()},
            dialect.limit_field: call.output_tokens_max,
        }
        if self._keys and "prompt_cache_key" not in body and (key := cache_key(call)):
            body["prompt_cache_key"] = key
        if stream:
            body["stream"] = True
            if dialect.usage_on_request:
                # Without it a stream tells no tokens, and what is not told is not booked.
                body["stream_options"] = {"include_usage": True}
        return body

    def read(self, value: Any) -> ProviderAnswer:
        """A whole answer. Raises: BadAnswer, FailedInside."""
        return read_answer(value)

    def stream(self) -> "ChatStream":
        """A reading of one stream."""
        return ChatStream()


class OpenAIProvider(WireProvider):
    """Calls the server at `base_url`, which goes up to and includes /v1."""

    def __init__(
        self,
        line: Line,
        *,
        base_url: str,
        api_key: SecretStr | None,
        dialect: Dialect | None = None,
    ) -> None:
        """`dialect` defaults to what the address tells."""
        address, dialect = Address(base_url, api_key), dialect or dialect_of(base_url)
        super().__init__(line, ChatWire(address, dialect, prompt_caching=line.prompt_caching))
        self._cache_markers = dialect.cache_markers

    def _translated(self, prompt: chat_pb2.Prompt, options: Options) -> chat_pb2.Prompt:
        return chat_prompt(prompt, options, keep_markers=self._cache_markers)


def _without_other_protocols(
    told: dict[str, Any], options: Options, dialect: Dialect
) -> dict[str, Any]:
    """What only OpenAI's Responses have, where it asks for something that is not so anyway."""
    include = told.pop("include", None) or ()
    if set(include) - {"reasoning.encrypted_content"}:
        options.lacks("include")
    if told.pop("truncation", "disabled") != "disabled":
        options.lacks("truncation")
    if told.pop("max_tool_calls", None) is not None:
        options.lacks("max_tool_calls")
    if "reasoning" in told and not dialect.reasoning_object:
        options.lacks("reasoning.summary")
        del told["reasoning"]
    return told


def _fit(message: dict[str, Any], dialect: Dialect) -> None:
    """A message as the server takes it."""
    if message["role"] == "developer" and not dialect.developer_role:
        message["role"] = "system"
    if dialect.strict_messages:
        for carrier in (message, *message.get("tool_calls", ())):
            for name in FOREIGN_FIELDS & carrier.keys():
                del carrier[name]
    else:
        # Nobody but OpenAI's other API can read these.
        message.pop("responses_items", None)


class ChatStream:
    """gateway.providers.wire.StreamReading."""

    def __init__(self) -> None:
        self.done = False
        self._chunk_seen = False
        self._finish_reason_seen = False
        self._usage = UsageReading(None)
        self._model = ""
        self._response_id = ""
        self._service_tier = ""

    def take(self, event: bytes) -> list[Any]:
        """The pieces in an event. Raises: BadAnswer, FailedInside."""
        if event == _DONE:
            self.done = True
            return []
        chunk = read_chunk(json_of(event))
        self._chunk_seen = True
        # Some servers tell the tokens so far with every event: the last word counts.
        if chunk.usage.usage is not None or chunk.usage.impossible:
            self._usage = chunk.usage
        self._model = chunk.model or self._model
        self._response_id = chunk.response_id or self._response_id
        self._service_tier = chunk.service_tier or self._service_tier
        if any(delta.finish_reason for delta in chunk.deltas):
            self._finish_reason_seen = True
        return chunk.deltas

    def end(self) -> ProviderEnd:
        """What the stream told. Servers forget [DONE], but never why the answer stopped."""
        if not self._chunk_seen:
            raise BadAnswer
        if not (self.done or self._finish_reason_seen):
            raise CutOff
        return ProviderEnd(
            usage=self._usage.usage,
            usage_impossible=self._usage.impossible,
            response_model=self._model,
            response_id=self._response_id,
            service_tier=self._service_tier,
            told=self._usage.told,
        )
