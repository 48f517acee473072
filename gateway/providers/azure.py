"""Azure OpenAI: chat completions at a deployment's own address, with Azure's own key header."""

from pydantic import SecretStr

from gateway.providers.dialects import DIALECTS
from gateway.providers.openai import AzureAddress, ChatWire
from gateway.providers.wire import Line, WireProvider


class AzureProvider(WireProvider):
    """Calls deployments of the resource at `base_url`, an endpoint without a path."""

    def __init__(
        self, line: Line, *, base_url: str, api_key: SecretStr | None, api_version: str | None
    ) -> None:
        """`api_version` None: the v1 API."""
        address = AzureAddress(base_url, api_key, api_version)
        wire = ChatWire(address, DIALECTS["azure"], prompt_caching=line.prompt_caching)
        super().__init__(line, wire)
