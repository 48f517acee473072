"""The configured providers, each behind the adapter of the protocol it speaks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from catalog.fleet import Fleet
from catalog.price import Rates
from catalog.prices import Unpriced
from catalog.schema import ProviderConfig
from chassis.invariant import InvariantBroken
from chassis.settings import FILE_SUFFIX, SettingsError, secret_of
from gateway.anthropic.markers import Beginnings, Markers, RatesOf
from gateway.bedrock.sigv4 import AwsKeys
from gateway.net.guard import AddressGuard, AddressRefused
from gateway.privacy.guard import guarded
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.as_answers import EmbeddingsAsAnswers
from gateway.providers.azure import AzureProvider
from gateway.providers.bedrock import BedrockProvider
from gateway.providers.deployments import Deployment, DeploymentPool
from gateway.providers.dialects import dialect_of
from gateway.providers.embeddings import GeminiEmbeddings, OpenAIEmbeddings, WireEmbedder
from gateway.providers.gemini import GeminiProvider, GeminiWire
from gateway.providers.http import HttpLimits
from gateway.providers.openai import Address, AzureAddress, OpenAIProvider
from gateway.providers.port import Provider
from gateway.providers.responses import ResponsesProvider
from gateway.providers.wire import Line


class SetupProblem(Exception):
    """The fleet file asks for what cannot be had here. Names keys and variables, no values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Placed:
    """A configured provider with what its adapter needs; a key is None when none is named."""

    name: str
    config: ProviderConfig
    base_url: str
    key: SecretStr | None
    aws_keys: AwsKeys | None
    rates_of: RatesOf
    session: aiohttp.ClientSession
    limits: HttpLimits


def _openai(placed: Placed) -> Provider:
    dialect = dialect_of(placed.base_url, placed.config.dialect)
    return OpenAIProvider(
        _line(placed), base_url=placed.base_url, api_key=placed.key, dialect=dialect
    )


def _azure(placed: Placed) -> Provider:
    return AzureProvider(
        _line(placed),
        base_url=placed.base_url,
        api_key=placed.key,
        api_version=placed.config.api_version,
    )


def _responses(placed: Placed) -> Provider:
    return ResponsesProvider(_line(placed), base_url=placed.base_url, api_key=placed.key)


def _gemini(placed: Placed) -> Provider:
    return GeminiProvider(_line(placed), base_url=placed.base_url, api_key=placed.key)


def _anthropic(placed: Placed) -> Provider:
    return AnthropicProvider(
        _line(placed), base_url=placed.base_url, api_key=placed.key, markers=_markers(placed)
    )


def _bedrock(placed: Placed) -> Provider:
    keys = placed.aws_keys or placed.key
    region = placed.config.region
    if keys is None or region is None:
        raise InvariantBroken("the fleet file's checks let no bedrock through without them")
    return BedrockProvider(
        _line(placed),
        base_url=placed.base_url,
        region=region,
        keys=keys,
        markers=_markers(placed),
    )


def _line(placed: Placed) -> Line:
    return Line(
        name=placed.name,
        session=placed.session,
        limits=placed.limits,
        now=time.time,
        unsupported=placed.config.unsupported,
        prompt_caching=placed.config.prompt_caching == "auto",
    )


def _markers(placed: Placed) -> Markers | None:
    """What marks prompts for the provider's cache; None where the operator leaves it to callers."""
    if placed.config.prompt_caching == "off":
        return None
    return Markers(placed.rates_of, Beginnings(time.monotonic))


# By ProviderConfig.kind.
_ADAPTERS: Mapping[str, Callable[[Placed], Provider]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "azure": _azure,
    "gemini": _gemini,
    "responses": _responses,
}


def _openai_embeddings(placed: Placed) -> Provider:
    dialect = dialect_of(placed.base_url, placed.config.dialect)
    address = Address(placed.base_url, placed.key)
    wire = OpenAIEmbeddings(address, base64=dialect.base64_vectors)
    return EmbeddingsAsAnswers(WireEmbedder(_line(placed), wire))


def _azure_embeddings(placed: Placed) -> Provider:
    address = AzureAddress(placed.base_url, placed.key, placed.config.api_version)
    wire = OpenAIEmbeddings(address, base64=True)
    return EmbeddingsAsAnswers(WireEmbedder(_line(placed), wire))


def _gemini_embeddings(placed: Placed) -> Provider:
    wire = GeminiWire(placed.base_url, placed.key)
    return EmbeddingsAsAnswers(
        WireEmbedder(_line(placed), GeminiEmbeddings(placed.base_url, lambda: dict(wire.headers())))
    )


# By ProviderConfig.kind; a kind that is not here makes no embeddings.
EMBEDDERS: Mapping[str, Callable[[Placed], Provider]] = {
    "openai": _openai_embeddings,
    "azure": _azure_embeddings,
    "gemini": _gemini_embeddings,
    "responses": _openai_embeddings,
}


def make_providers(
    fleet: Fleet,
    session: aiohttp.ClientSession,
    environ: Mapping[str, str],
    guard: AddressGuard,
    adapters_by_kind: Mapping[str, Callable[[Placed], Provider]] = _ADAPTERS,
) -> dict[str, Provider]:
    """Every configured provider whose kind has an adapter, by name; `guard` is the session's, and
    lets their addresses through from now on.

    Raises: SetupProblem with every problem.
    """
    timeouts = fleet.config.timeouts
    problems: list[str] = []
    providers: dict[str, Provider] = {}
    for name, config in fleet.config.providers.items():
        make = adapters_by_kind.get(config.kind)
        if make is None:
            continue
        adapters: list[Provider] = []
        for place in config.places():
            address = _address(name, place, environ, problems)
            try:
                key = _key(name, place.api_key_env, environ, problems)
                aws_keys = _aws_keys(name, place, environ, problems)
            except SettingsError as error:
                problems += [f"provider {name}: {each}" for each in error.problems]
                continue
            if address is None:
                continue
            try:
                guard.permit(address, private_network=place.private_network)
            except AddressRefused as error:
                problems.append(f"provider {name}: its address {error}")
            if problems:
                continue
            placed = Placed(
                name=name,
                config=place,
                base_url=address,
                key=key,
                aws_keys=aws_keys,
                rates_of=_rates_of(fleet, name),
                session=session,
                limits=HttpLimits(
                    answer_seconds_max=config.timeout_seconds,
                    connect_seconds_max=timeouts.connect_seconds,
                    idle_seconds_max=timeouts.idle_seconds,
                ),
            )
            adapters.append(make(placed))
        if len(adapters) == len(config.places()):
            providers[name] = guarded(_together(name, config, adapters), fleet.config.privacy)
    if problems:
        raise SetupProblem(problems)
    return providers


def _rates_of(fleet: Fleet, provider: str) -> RatesOf:
    """The price of what a provider serves, by its upstream name."""
    names = {
        card.upstream_model: card.name for card in fleet.models.all() if card.provider == provider
    }

    def rates_of(model: str) -> Rates | None:
        name = names.get(model)
        try:
            return None if name is None else fleet.book.price(name, datetime.now(UTC)).rates
        except Unpriced:
            return None

    return rates_of


def _together(name: str, config: ProviderConfig, adapters: list[Provider]) -> Provider:
    """One provider of all its deployments."""
    if not config.deployments:
        return adapters[0]
    return DeploymentPool(
        name,
        [
            Deployment(adapter, each.name or str(place), each.weight, each.cooldown_seconds)
            for place, (adapter, each) in enumerate(
                zip(adapters, config.deployments, strict=True), start=1
            )
        ],
    )


def secret_files(fleet: Fleet, environ: Mapping[str, str]) -> list[Path]:
    """The files that hold the providers' keys, as far as variables name any (NAME_FILE)."""
    variables = [
        variable
        for config in fleet.config.providers.values()
        for place in config.places()
        for variable in place.secret_names()
    ]
    named = (environ.get(variable + FILE_SUFFIX) for variable in variables)
    return [Path(path) for path in named if path]


def _key(
    name: str, variable: str | None, environ: Mapping[str, str], problems: list[str]
) -> SecretStr | None:
    if variable is None:
        return None
    key = secret_of(environ, variable)
    if not key:
        problems.append(f"provider {name}: {variable} is not set")
        return None
    return SecretStr(key)


def _aws_keys(
    name: str, config: ProviderConfig, environ: Mapping[str, str], problems: list[str]
) -> AwsKeys | None:
    access_key_id = _key(name, config.access_key_id_env, environ, problems)
    secret = _key(name, config.secret_access_key_env, environ, problems)
    session_token = _key(name, config.session_token_env, environ, problems)
    if access_key_id is None or secret is None:
        return None
    return AwsKeys(access_key_id, secret, session_token)


def _address(
    name: str, config: ProviderConfig, environ: Mapping[str, str], problems: list[str]
) -> str | None:
    try:
        address = config.address(environ)
    except ValueError as error:
        problems.append(f"provider {name}: {config.base_url_env} {error}")
        return None
    if address is None:
        problems.append(f"provider {name}: {config.base_url_env} is not set")
    return address
