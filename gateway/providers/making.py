"""The configured providers, each behind the adapter of the protocol it speaks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from pydantic import SecretStr

from catalog.fleet import Fleet
from catalog.schema import ProviderConfig
from chassis.settings import SettingsError, secret_of
from gateway.providers.http import HttpLimits
from gateway.providers.openai import OpenAIProvider
from gateway.providers.port import Provider


class SetupProblem(Exception):
    """The fleet file asks for what cannot be had here. Names keys and variables, no values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Placed:
    """A configured provider with what its adapter needs; `key` is None when none is named."""

    name: str
    config: ProviderConfig
    base_url: str
    key: SecretStr | None
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


# By ProviderConfig.kind.
_ADAPTERS: Mapping[str, Callable[[Placed], Provider]] = {"openai": _openai}


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
            key = _key(name, config, environ, problems)
        except SettingsError as error:
            problems += [f"provider {name}: {each}" for each in error.problems]
            continue
        if address is None:
            continue
        placed = Placed(
            name=name,
            config=config,
            base_url=address,
            key=key,
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


def _key(
    name: str, config: ProviderConfig, environ: Mapping[str, str], problems: list[str]
) -> SecretStr | None:
    if config.api_key_env is None:
        return None
    key = secret_of(environ, config.api_key_env)
    if not key:
        problems.append(f"provider {name}: {config.api_key_env} is not set")
        return None
    return SecretStr(key)


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
