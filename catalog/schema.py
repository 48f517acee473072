"""The shape of the fleet file: what an operator may write, with types, units and defaults.

Only shapes and ranges live here; how the parts refer to one another is checked in `config`.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from catalog.admission import AdmissionConfig
from catalog.alerts import AlertsConfig
from catalog.auth import AuthConfig
from catalog.automatic import is_automatic, policy_word
from catalog.batching import BatchConfig
from catalog.caching import CacheConfig, CacheScope
from catalog.ledger import LedgerConfig
from catalog.limits import LimitsConfig
from catalog.privacy import PrivacyConfig, TenantPrivacy
from catalog.prompts import CompressionLevel, ContextChoice, PromptPolicy, PromptsConfig
from catalog.resilience import DeploymentConfig, RetryConfig
from catalog.routing import Complexity, PolicyConfig, RoutingConfig, RoutingPolicy
from catalog.shapes import (
    AUTO,
    NAME_BYTES_MAX,
    EnvironmentName,
    ModelName,
    Name,
    ProviderName,
    Seconds,
    Section,
    Tokens,
    Url,
    UsdPerMillion,
    checked_url,
)

__all__ = [
    "AUTO",
    "NAME_BYTES_MAX",
    "CacheConfig",
    "CacheScope",
    "Capability",
    "Complexity",
    "CompressionLevel",
    "ContextChoice",
    "Encoding",
    "FleetConfig",
    "LongContextConfig",
    "ModelConfig",
    "PolicyConfig",
    "PriceConfig",
    "PrivacyConfig",
    "PromptPolicy",
    "PromptsConfig",
    "ProviderConfig",
    "RatesConfig",
    "RetryConfig",
    "RoutingConfig",
    "RoutingPolicy",
    "TenantPrivacy",
    "TimeoutsConfig",
    "is_automatic",
    "policy_word",
]


class Capability(StrEnum):
    """Something a model can do."""

    TOOLS = "tools"
    VISION = "vision"
    AUDIO = "audio"
    JSON_SCHEMA = "json_schema"
    REASONING = "reasoning"


class Encoding(StrEnum):
    """What a model reads with: a vocabulary, whose counts are exact, or a family of models that
    share a tokenizer, whose counts are estimates. The tokenizer knows the same names."""

    O200K_BASE = "o200k_base"
    CL100K_BASE = "cl100k_base"
    O200K_HARMONY = "o200k_harmony"
    CLAUDE = "claude"
    CLAUDE_4_7 = "claude-4.7"
    GEMINI = "gemini"
    LLAMA = "llama"
    DEEPSEEK = "deepseek"
    QWEN = "qwen"
    MISTRAL = "mistral"
    SMOLLM = "smollm"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, Mapping) else value


class RatesConfig(Section):
    """USD for a million tokens, to at most six decimals."""

    input_usd_per_million: UsdPerMillion
    """Text read."""
    output_usd_per_million: UsdPerMillion
    """Text written, reasoning included."""
    cached_input_usd_per_million: UsdPerMillion | None = None
    """Text read from the provider's prompt cache. Default: as text read."""
    cache_write_usd_per_million: UsdPerMillion | None = None
    """Text written to the provider's prompt cache. Default: as text read."""
    cache_write_1h_usd_per_million: UsdPerMillion | None = None
    """The same, kept for an hour. Default: as cache_write."""
    audio_input_usd_per_million: UsdPerMillion | None = None
    """Sound read. Default: as text read."""
    audio_output_usd_per_million: UsdPerMillion | None = None
    """Sound written. Default: as text written."""
    image_input_usd_per_million: UsdPerMillion | None = None
    """Pictures read. Default: as text read."""
    image_output_usd_per_million: UsdPerMillion | None = None
    """Pictures made. Default: as text written."""


class LongContextConfig(RatesConfig):
    """Rates for the whole request once it reads more than so many tokens."""

    input_tokens_over: Tokens
    """These rates hold when the request reads more tokens than this."""


class PriceConfig(RatesConfig):
    """The operator's own price of a model. It takes the place of the catalogue's."""

    start_date: date | None = None
    """It holds from this day on, 00:00 UTC. Default: always."""
    long_context: list[LongContextConfig] = Field(default=[], max_length=8)
    """Dearer rates for long requests. Default: none."""

    @model_validator(mode="after")
    def _tiers_differ(self) -> Self:
        starts = [tier.input_tokens_over for tier in self.long_context]
        if len(set(starts)) != len(starts):
            raise ValueError("two long_context entries begin at the same input_tokens_over")
        return self


TierPercent = Annotated[Decimal, Field(gt=0, le=1000, decimal_places=2)]


# What says where a provider is.
_ADDRESSES = frozenset({"base_url", "base_url_env", "deployments"})


class ProviderConfig(Section):
    """Someone who serves models."""

    kind: Literal["openai", "responses", "azure", "gemini", "anthropic", "bedrock"] = "openai"
    """The protocol spoken: "openai" is OpenAI's chat completions, which most servers speak;
    "responses" OpenAI's Responses; "azure" chat completions of Azure OpenAI; "gemini" Google's
    generateContent; "anthropic" Anthropic's Messages; "bedrock" AWS's Converse."""
    dialect: (
        Literal["openai", "mistral", "groq", "deepseek", "openrouter", "xai", "compatible"] | None
    ) = None
    """For kind "openai": whose variant of it. Default: told by base_url."""
    api_version: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,32}$")] | None = None
    """For kind "azure": such as "2024-10-21". Default: the v1 API, which needs none."""
    base_url: Url | None = None
    """Where it is, up to and including the API's version (/v1; /v1beta for "gemini"; for "azure"
    the resource's endpoint without a path). Give this or base_url_env. Default of "anthropic" and
    "bedrock": the vendor's own address."""
    base_url_env: EnvironmentName | None = None
    """The environment variable that says where it is."""
    api_key_env: EnvironmentName | None = None
    """The environment variable that holds the key. Default: no key is sent."""
    private_network: bool = False
    """Whether the name in its address may stand for one that is not on the public internet.
    Needless for localhost and for an address that is written out."""
    timeout_seconds: Seconds = 120.0
    """Longest wait for one whole answer."""
    priced_as: Name | None = None
    """The catalogue's name of this provider, such as "azure". Default: told by base_url."""
    unsupported: Literal["error", "drop"] = "error"
    """What becomes of an option that this provider lacks: "error" refuses the request and names
    the option, "drop" leaves it out and says so in the answer's warnings."""
    prompt_caching: Literal["auto", "off"] = "auto"
    """Whether the gateway marks what is worth keeping in the provider's prompt cache, where the
    caller marks nothing. "off" leaves it to the caller."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] | None = None
    """For "bedrock", required: the AWS region, such as us-east-1."""
    access_key_id_env: EnvironmentName | None = None
    """For "bedrock": the environment variable that holds the access key's id."""
    secret_access_key_env: EnvironmentName | None = None
    """For "bedrock": the environment variable that holds the secret access key."""
    session_token_env: EnvironmentName | None = None
    """For "bedrock": the environment variable that holds the token of temporary credentials.
    Default: none is sent."""

    deployments: list[DeploymentConfig] = Field(default=[], max_length=32)
    """Several places or keys that serve this provider's models, in place of base_url and
    api_key_env here. Each call takes one by weight; one that fails is left alone for a while."""
    tier_percent: dict[Literal["batch", "flex", "priority"], TierPercent] = Field(
        default={}, max_length=3
    )
    """What service tiers cost here, in percent of the standard price. Default: as published;
    a tier that is not published has no price."""

    @model_validator(mode="before")
    @classmethod
    def _own_address(cls, value: Any) -> Any:
        """The vendor's address, where it is left out and there is only one."""
        if not isinstance(value, Mapping) or _ADDRESSES & value.keys():
            return value
        kind, region = value.get("kind"), value.get("region")
        if kind == "anthropic":
            return {**value, "base_url": "https://api.anthropic.com"}
        if kind == "bedrock" and isinstance(region, str):
            return {**value, "base_url": f"https://bedrock-runtime.{region}.amazonaws.com"}
        return value

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.kind == "bedrock" and self.region is None:
            raise ValueError("bedrock needs a region")
        if self.deployments:
            if self.base_url or self.base_url_env or self.api_key_env:
                raise ValueError("deployments take the place of base_url and api_key_env")
        elif (self.base_url is None) == (self.base_url_env is None):
            raise ValueError("give either base_url or base_url_env")
        return self

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        pair = (self.access_key_id_env, self.secret_access_key_env)
        aws = (*pair, self.session_token_env, self.region)
        if self.kind != "bedrock":
            if any(name is not None for name in aws):
                raise ValueError("region and AWS keys are for bedrock")
        elif self.api_key_env is None and None in pair:
            raise ValueError("bedrock needs access_key_id_env and secret_access_key_env")
        elif self.api_key_env is not None and any(name is not None for name in aws[:3]):
            raise ValueError("give either api_key_env or the access key")
        return self

    def places(self) -> list["ProviderConfig"]:
        """Each deployment as a provider of its own; without deployments the provider itself."""
        return [
            self.model_copy(
                update={
                    "base_url": each.base_url,
                    "base_url_env": each.base_url_env,
                    "api_key_env": each.api_key_env,
                    "deployments": [],
                }
            )
            for each in self.deployments
        ] or [self]

    def secret_names(self) -> list[str]:
        """The environment variables that hold secrets of this provider's."""
        names = (
            self.api_key_env,
            self.access_key_id_env,
            self.secret_access_key_env,
            self.session_token_env,
        )
        return [name for name in names if name is not None]

    def address(self, environ: Mapping[str, str]) -> str | None:
        """The base URL, None when its variable is not set. Raises ValueError when it is no URL."""
        if self.base_url is not None:
            return self.base_url
        url = environ.get(self.base_url_env or "")
        return checked_url(url) if url else None


class ModelConfig(Section):
    """A model callers can ask for. Its key in `models` is its name."""

    provider: Name
    """Who serves it: a key of `providers`."""
    upstream_model: Name | None = None
    """What the provider calls it. Default: its name here."""
    priced_as: Annotated[str, Field(pattern=r"^[^/]+/.+$")] | None = None
    """The catalogue's provider/model to take price and facts from. Default: told by the provider
    and upstream_model."""
    price: (
        Annotated[
            list[PriceConfig],
            BeforeValidator(_as_list),
            Field(min_length=1, max_length=64),
        ]
        | None
    ) = None
    """The operator's own price, or several with different start_date. It takes the place of the
    catalogue's. A price of 0 must be written out."""
    capabilities: list[Capability] | None = None
    """What it can do. Default: the catalogue's; unknown when that has none."""
    context_window_tokens: Tokens | None = None
    """Tokens it reads and writes together. Default: the catalogue's."""
    output_tokens_max: Tokens | None = None
    """Tokens it writes at most. Default: the catalogue's."""
    output_tokens_default: Tokens | None = None
    """Asked for when the caller sets no limit. Default: routing.output_tokens_default."""
    encoding: Encoding | None = None
    """How its prompts are counted, where its name does not tell: a self-hosted or renamed model.
    A vocabulary ("o200k_base", "cl100k_base", "o200k_harmony") makes counts exact; a family
    ("llama", "qwen", "claude", ...) makes them estimates, which learn from what is reported.
    Default: told by priced_as, or else by upstream_model."""
    aliases: list[ModelName] = Field(default=[], max_length=32)
    """Other names it answers to."""
    task: Literal["chat", "embedding"] | None = None
    """What it does: answers, or makes vectors of texts. Default: told by upstream_model, which has
    "embed" in it."""
    routable: bool = True
    """Whether "auto" may take it."""
    fallbacks: list[Name] = Field(default=[], max_length=4)
    """Models to try, in this order, when this one was named and fails."""
    strength_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """How strong it is before outcomes tell: 0 like the weakest, 100 like the strongest models
    known. Default: told by its price among the fleet's."""
    region: Name | None = None
    """Where it runs. Requests that name a region only take models of it. Default: anywhere."""
    deprecate_date: date | None = None
    """The provider advises against it from this day on. Default: not known to."""
    retire_date: date | None = None
    """The provider switches it off on this day, 00:00 UTC. Default: not known to."""

    def embeds(self, name: str) -> bool:
        """Whether the model, whose key in `models` is `name`, makes vectors."""
        if self.task is not None:
            return self.task == "embedding"
        return "embed" in (self.upstream_model or name).lower()

    @model_validator(mode="after")
    def _starts_differ(self) -> Self:
        starts = [price.start_date for price in self.price or ()]
        if len(set(starts)) != len(starts):
            raise ValueError("two prices begin on the same start_date")
        return self


class TimeoutsConfig(Section):
    """Longest waits of the gateway."""

    request_seconds: Seconds = 300.0
    """A whole request, retries and fallbacks included."""
    connect_seconds: Seconds = 5.0
    """Reaching a provider."""
    idle_seconds: Seconds = 60.0
    """Between two pieces of an answer that is streamed."""


class FleetConfig(Section):
    """The whole fleet file."""

    providers: Annotated[dict[ProviderName, ProviderConfig], Field(min_length=1, max_length=256)]
    """Who serves models, by a name of your choice."""
    models: Annotated[dict[ModelName, ModelConfig], Field(min_length=1, max_length=4096)]
    """What callers can ask for, by name."""
    baseline_model: Name | None = None
    """What every call would go to without Spendgate: savings by routing are told against it.
    Default: none, and routing claims no savings."""
    routing: RoutingConfig = RoutingConfig()
    """How "auto" chooses."""
    prompts: PromptsConfig = PromptsConfig()
    """What is done to prompts before they are sent."""
    cache: CacheConfig = CacheConfig()
    """When answers are served again."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """Longest waits."""
    retry: RetryConfig = RetryConfig()
    """How a failing provider is tried again."""
    limits: LimitsConfig = LimitsConfig()
    """How fast callers may call."""
    ledger: LedgerConfig = LedgerConfig()
    """How gateways work with the ledger."""
    admission: AdmissionConfig = AdmissionConfig()
    """How tenants share a gateway that is busy."""
    auth: AuthConfig = AuthConfig()
    """How callers show who they are, besides virtual keys."""
    batch: BatchConfig = BatchConfig()
    """Work that may wait."""
    alerts: AlertsConfig = AlertsConfig()
    """What the ledger watches, and who is told."""
    privacy: PrivacyConfig = PrivacyConfig()
    """Whose prompts and answers may be seen."""
