"""How servers that speak OpenAI's chat completions differ from one another.

A table, by the host of the address or by `dialect` in the fleet file. Sources: the reference pages
of each vendor's API; what is not listed as lacking is sent as it came.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

LimitField = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of server."""

    # The limit on output tokens. OpenAI's reasoning models refuse the older name; most other
    # servers know only that.
    limit_field: LimitField = "max_tokens"
    # Whether a stream tells its tokens only when `stream_options.include_usage` asks for them.
    # Where it tells them unasked the option may be refused as unknown.
    usage_on_request: bool = True
    # What it calls an option of ours.
    renamed: Mapping[str, str] = field(default_factory=dict)
    # Options that it refuses or, worse, passes over.
    lacking: frozenset[str] = frozenset()
    # Draws one answer only.
    one_choice: bool = False
    # Instructions of the newer role are sent as those of the older.
    developer_role: bool = True
    # Refuses fields of messages that it does not know.
    strict_messages: bool = False
    # Knows an object of options about reasoning.
    reasoning_object: bool = False
    # Gives vectors in base64: exact, and a third of the bytes.
    base64_vectors: bool = False
    # Takes a key by which it finds the machine that has the prompt's beginning in its cache.
    prompt_cache_key: bool = False
    # Knows Anthropic's markers of what to keep in the prompt cache.
    cache_markers: bool = False


_OPENAI = Dialect(
    limit_field="max_completion_tokens",
    strict_messages=True,
    base64_vectors=True,
    prompt_cache_key=True,
    lacking=frozenset({"top_k"}),
)
DIALECTS: Mapping[str, Dialect] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "mistral": Dialect(
        usage_on_request=False,
        renamed={"seed": "random_seed"},
        lacking=frozenset(
            {"logit_bias", "logprobs", "top_logprobs", "store", "service_tier", "modalities"}
            | {"audio", "verbosity", "web_search_options"}
        ),
        developer_role=False,
        strict_messages=True,
    ),
    "groq": Dialect(
        limit_field="max_completion_tokens",
        lacking=frozenset({"logit_bias", "logprobs", "top_logprobs", "modalities", "audio"}),
        one_choice=True,
    ),
    "deepseek": Dialect(
        lacking=frozenset({"logit_bias", "seed", "store", "modalities", "audio", "verbosity"}),
        one_choice=True,
        developer_role=False,
    ),
    "openrouter": Dialect(reasoning_object=True, cache_markers=True),
    "xai": Dialect(limit_field="max_completion_tokens", lacking=frozenset({"logit_bias"})),
    # vLLM, Ollama, the server of llama.cpp and whoever else speaks the protocol.
    "compatible": Dialect(developer_role=False),
}
_HOSTS = {
    "api.openai.com": "openai",
    "api.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
}
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")

# What a message may carry for the protocol of another provider: thoughts that only it can read.
# They come back to it unharmed; a server that refuses unknown fields is not sent them.
FOREIGN_FIELDS = frozenset(
    {"responses_items", "reasoning_content", "reasoning", "reasoning_details", "extra_content"}
    | {"thinking_blocks", "content_parts"}
)


def dialect_of(base_url: str, name: str | None = None) -> Dialect:
    """The dialect of this name, or of the server at `base_url`."""
    if name is not None:
        return DIALECTS[name]
    host = urlsplit(base_url).hostname or ""
    if host.endswith(_AZURE):
        return DIALECTS["azure"]
    return DIALECTS[_HOSTS.get(host, "compatible")]
