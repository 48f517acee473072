"""OpenAI's Responses API, behind the provider port."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from gateway.openai.responses_answer import ResponseStream, read_response
from gateway.openai.responses_render import render_responses
from gateway.providers.openai import Address
from gateway.providers.options import Options
from gateway.providers.port import ProviderAnswer, ProviderCall
from gateway.providers.prompt_cache import cache_key
from gateway.providers.wire import Line, WireProvider

# Of chat completions; this protocol has nothing like them.
_LACKING = ("audio", "function_call", "functions", "logit_bias", "logprobs", "modalities")
_LACKING_OF_SAMPLING = {
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}


class ResponsesWire:
    """gateway.providers.wire.Wire."""

    def __init__(self, address: Address, *, prompt_caching: bool = True) -> None:
        self._address = address
        self._keys = prompt_caching

    def url(self, call: ProviderCall, *, stream: bool) -> str:
        """Where the call goes."""
        del stream
        return self._address.url("/responses", call.model)

    def headers(self) -> Mapping[str, str]:
        """The operator's key."""
        return self._address.headers()

    def render(self, call: ProviderCall, options: Options, *, stream: bool) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        sampling = call.prompt.sampling
        for name, told in _LACKING_OF_SAMPLING.items():
            if sampling.HasField(name):
                options.lacks(told)
        if sampling.stop:
            options.lacks("stop")
        if sampling.choice_count > 1:
            options.lacks("n")
        body = options.without(render_responses(call.prompt), [*_LACKING, "prediction"])
        body["model"] = call.model
        body["max_output_tokens"] = call.output_tokens_max
        if self._keys and "prompt_cache_key" not in body and (key := cache_key(call)):
            body["prompt_cache_key"] = key
        if stream:
            body["stream"] = True
        return body

    def read(self, value: Any) -> ProviderAnswer:
        """A whole answer. Raises: BadAnswer, FailedInside."""
        return read_response(value)

    def stream(self) -> ResponseStream:
        """A reading of one stream."""
        return ResponseStream()


class ResponsesProvider(WireProvider):
    """Calls the server at `base_url`, which goes up to and includes /v1."""

    def __init__(self, line: Line, *, base_url: str, api_key: SecretStr | None) -> None:
        wire = ResponsesWire(Address(base_url, api_key), prompt_caching=line.prompt_caching)
        super().__init__(line, wire)
