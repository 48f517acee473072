"""The configured providers, each behind the adapter of the protocol it speaks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from pydantic import SecretStr

from catalog.fleet import Fleet
from catalog.price import Rates
from catalog.prices import Unpriced
from catalog.schema import ProviderConfig
from chassis.invariant import InvariantBroken
from chassis.settings import SettingsError, secret_of
from gateway.anthropic.markers import Beginnings, Markers, RatesOf
from gateway.bedrock.sigv4 import AwsKeys
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.bedrock import BedrockProvider
from gateway.providers.http import HttpLimits
from gateway.providers.openai import OpenAIProvider
from gateway.providers.port import Provider
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
    return OpenAIProvider(
        name=placed.name,
        base_url=placed.base_url,
        api_key=placed.key,
        session=placed.session,
        limits=placed.limits,
        now=time.time,
    )


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
}


def make_providers(
    fleet: Fleet, session: aiohttp.ClientSession, environ: Mapping[str, str]
) -> dict[str, Provider]:
    """Every configured provider, by name. Raises: SetupProblem with every problem."""
    timeouts = fleet.config.timeouts
    problems: list[str] = []
    providers: dict[str, Provider] = {}
    for name, config in fleet.config.providers.items():
        address = _address(name, config, environ, problems)
        try:
            key = _key(name, config.api_key_env, environ, problems)
            aws_keys = _aws_keys(name, config, environ, problems)
        except SettingsError as error:
            problems += [f"provider {name}: {each}" for each in error.problems]
            continue
        if address is None or problems:
            continue
        placed = Placed(
            name=name,
            config=config,
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
        providers[name] = _ADAPTERS[config.kind](placed)
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
