"""Google's Gemini API (generateContent), behind the provider port."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from gateway.gemini.answer import GeminiStream, read_generated
from gateway.gemini.render import render_gemini
from gateway.providers.options import Options
from gateway.providers.port import ProviderAnswer, ProviderCall
from gateway.providers.wire import Line, WireProvider


class GeminiWire:
    """gateway.providers.wire.Wire. `base_url` goes up to and includes /v1beta."""

    def __init__(self, base_url: str, api_key: SecretStr | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = api_key

    def url(self, call: ProviderCall, *, stream: bool) -> str:
        """Where the call goes. The key is no part of it: URLs get logged."""
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        model = quote(call.model.removeprefix("models/"), safe="")
        return f"{self._base_url}/models/{model}:{method}"

    def headers(self) -> Mapping[str, str]:
        """The operator's key."""
        return {} if self._key is None else {"x-goog-api-key": self._key.get_secret_value()}

    def render(self, call: ProviderCall, options: Options, *, stream: bool) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        del stream
        return render_gemini(call, options)

    def read(self, value: Any) -> ProviderAnswer:
        """A whole answer. Raises: BadAnswer, FailedInside."""
        return read_generated(value)

    def stream(self) -> GeminiStream:
        """A reading of one stream."""
        return GeminiStream()


class GeminiProvider(WireProvider):
    """Calls the server at `base_url`, which goes up to and includes /v1beta."""

    def __init__(self, line: Line, *, base_url: str, api_key: SecretStr | None) -> None:
        super().__init__(line, GeminiWire(base_url, api_key))
