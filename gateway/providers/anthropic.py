"""Servers that speak Anthropic's Messages API, behind the provider port."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.anthropic.answer import StreamReader, read_answer
from gateway.anthropic.content import BETAS, OPTIONS
from gateway.anthropic.markers import Markers
from gateway.anthropic.provider_errors import error_words, retry_after
from gateway.anthropic.render import render_prompt
from gateway.openai.answer import BadAnswer
from gateway.openai.read import object_from
from gateway.providers.http import ProviderHttp
from gateway.providers.options import Options
from gateway.providers.port import ProviderAnswer, ProviderCall, ProviderEnd
from gateway.providers.wire import CutOff, Line, WireProvider, json_of

VERSION = "2023-06-01"
BETAS_MAX = 64
# As Anthropic names them; nothing else gets into a header.
_BETA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


class MessagesWire:
    """gateway.providers.wire.Wire: the Messages API."""

    def __init__(self, base_url: str, api_key: SecretStr | None, markers: Markers | None) -> None:
        """`base_url` with or without /v1. Without `markers` only the caller marks."""
        self._url = base_url.rstrip("/").removesuffix("/v1") + "/v1/messages"
        self._key = api_key
        self._markers = markers

    def url(self, call: ProviderCall, *, stream: bool) -> str:
        """Where the call goes."""
        del call, stream
        return self._url

    def headers(self) -> Mapping[str, str]:
        """The operator's key and the version of the API."""
        headers = {"anthropic-version": VERSION}
        if self._key is not None:
            headers["x-api-key"] = self._key.get_secret_value()
        return headers

    def render(self, call: ProviderCall, options: Options, *, stream: bool) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        told = render_prompt(call.prompt, options)
        told.pop(BETAS, None)
        body: dict[str, Any] = {"model": call.model, "max_tokens": call.output_tokens_max, **told}
        if self._markers is not None:
            self._markers.add(body, call.model)
        if stream:
            body["stream"] = True
        return body

    def read(self, value: Any) -> ProviderAnswer:
        """A whole answer. Raises: BadAnswer, FailedInside."""
        return read_answer(value)

    def stream(self) -> "MessagesStream":
        """A reading of one stream."""
        return MessagesStream()


class MessagesStream:
    """gateway.providers.wire.StreamReading."""

    def __init__(self) -> None:
        self._reader = StreamReader()
        self.done = False

    def take(self, event: bytes) -> list[gateway_pb2.Delta]:
        """The pieces in an event. Raises: BadAnswer, FailedInside."""
        value = json_of(event)
        self.done = isinstance(value, dict) and value.get("type") == "message_stop"
        return self._reader.take(value)

    def end(self) -> ProviderEnd:
        """What the stream told beside its pieces. Raises: BadAnswer, CutOff."""
        if not self._reader.begun:
            raise BadAnswer
        if not self._reader.stopped:
            raise CutOff
        return self._reader.end()


class AnthropicProvider(WireProvider):
    """Calls the server at `base_url`."""

    def __init__(
        self, line: Line, *, base_url: str, api_key: SecretStr | None, markers: Markers | None
    ) -> None:
        super().__init__(line, MessagesWire(base_url, api_key, markers))

    def _translated(self, prompt: chat_pb2.Prompt, options: Options) -> chat_pb2.Prompt:
        del options
        return prompt

    def _open_http(self, line: Line) -> ProviderHttp:
        return ProviderHttp(
            line.name,
            line.session,
            line.limits,
            line.now,
            error_words=error_words,
            retry_after=retry_after,
        )

    def _headers_of(self, call: ProviderCall, url: str, body: bytes) -> Mapping[str, str]:
        del url, body
        betas = betas_of(call)
        return {**self._headers, "anthropic-beta": ",".join(betas)} if betas else self._headers


def betas_of(call: ProviderCall) -> list[str]:
    """The anthropic-beta flags that came with the prompt."""
    text = call.prompt.extra_json
    if f'"{BETAS}"' not in text:
        return []
    extra = object_from(text, "prompt.extra_json")
    own = extra.get(OPTIONS)
    told = own.get(BETAS) if isinstance(own, dict) else None
    told = extra.get(BETAS) if told is None else told
    if not isinstance(told, list):
        return []
    named = [beta for beta in told if isinstance(beta, str) and _BETA.fullmatch(beta)]
    return list(dict.fromkeys(named))[:BETAS_MAX]
