"""AWS Bedrock's Converse, behind the provider port."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson
from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.anthropic.answer import StreamReader, read_answer
from gateway.anthropic.markers import Markers
from gateway.anthropic.provider_errors import meaning_of
from gateway.anthropic.render import render_prompt
from gateway.bedrock.answer import Events, message_of
from gateway.bedrock.event_stream import EventStreamParser
from gateway.bedrock.render import render_converse
from gateway.bedrock.sigv4 import AwsKeys, Signer
from gateway.openai.answer import BadAnswer
from gateway.providers.http import ProviderHttp, ToldError
from gateway.providers.options import Options
from gateway.providers.port import ProviderAnswer, ProviderCall, ProviderEnd
from gateway.providers.wire import CutOff, EventParser, Line, WireProvider, json_of

SERVICE = "bedrock"
# What Bedrock puts before a message of the model's own.
_BEFORE = re.compile(r"the model returned the following errors:\s*", re.IGNORECASE)


class ConverseWire:
    """gateway.providers.wire.Wire: Converse and ConverseStream."""

    def __init__(self, base_url: str, markers: Markers | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._markers = markers

    def url(self, call: ProviderCall, *, stream: bool) -> str:
        """Where the call goes: the model stands in the path."""
        verb = "converse-stream" if stream else "converse"
        return f"{self._base_url}/model/{quote(call.model, safe='')}/{verb}"

    def headers(self) -> Mapping[str, str]:
        """None that are the same for all calls."""
        return {}

    def render(self, call: ProviderCall, options: Options, *, stream: bool) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        del stream
        body = {"max_tokens": call.output_tokens_max, **render_prompt(call.prompt, options)}
        if self._markers is not None:
            self._markers.add(body, call.model)
        return render_converse(body, options)

    def read(self, value: Any) -> ProviderAnswer:
        """A whole answer. Raises: BadAnswer, FailedInside."""
        return read_answer(message_of(value))

    def stream(self) -> "ConverseStream":
        """A reading of one stream."""
        return ConverseStream()


class ConverseStream:
    """gateway.providers.wire.StreamReading."""

    def __init__(self) -> None:
        self._events = Events()
        self._reader = StreamReader()

    @property
    def done(self) -> bool:
        """The tokens were told, which come last."""
        return self._events.done

    def take(self, event: bytes) -> list[gateway_pb2.Delta]:
        """The pieces in an event. Raises: BadAnswer, FailedInside."""
        return [
            delta for told in self._events.take(json_of(event)) for delta in self._reader.take(told)
        ]

    def end(self) -> ProviderEnd:
        """What the stream told beside its pieces. Raises: BadAnswer, CutOff."""
        if not self._reader.begun:
            raise BadAnswer
        if not self._reader.stopped:
            raise CutOff
        return self._reader.end()


class BedrockProvider(WireProvider):
    """Calls Converse at `base_url`, with an access key or an API key of Bedrock's."""

    def __init__(
        self,
        line: Line,
        *,
        base_url: str,
        region: str,
        keys: AwsKeys | SecretStr,
        markers: Markers | None,
    ) -> None:
        super().__init__(line, ConverseWire(base_url, markers))
        self._signer: Signer | None = None
        self._bearer = ""
        if isinstance(keys, AwsKeys):
            self._signer = Signer(keys, region, SERVICE)
        else:
            self._bearer = f"Bearer {keys.get_secret_value()}"

    def _translated(self, prompt: chat_pb2.Prompt, options: Options) -> chat_pb2.Prompt:
        del options
        return prompt

    def _open_http(self, line: Line) -> ProviderHttp:
        return ProviderHttp(line.name, line.session, line.limits, line.now, error_words=error_words)

    def _parser(self) -> EventParser:
        return EventStreamParser(self._line.limits.event_bytes_max)

    def _headers_of(self, call: ProviderCall, url: str, body: bytes) -> Mapping[str, str]:
        del call
        accept = "application/json"
        if url.endswith("-stream"):
            accept = "application/vnd.amazon.eventstream"
        headers = {**self._headers, "Accept": accept}
        if self._signer is None:
            return {**headers, "Authorization": self._bearer}
        signed = {"content-type": headers["Content-Type"]}
        now = self._line.now()
        return {**headers, **self._signer.headers("POST", url, body, signed, now)}


def error_words(body: bytes | None) -> ToldError:
    """What an error's body says."""
    try:
        error: Any = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        return ToldError()
    message = error.get("message", error.get("Message")) if isinstance(error, dict) else None
    if not isinstance(message, str):
        return ToldError()
    return ToldError(meaning_of(_BEFORE.sub("", message, count=1)))
