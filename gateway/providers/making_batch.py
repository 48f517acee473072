"""The configured providers whose batch endpoint is used, each behind its adapter."""

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from catalog.batching import BatchWay
from catalog.fleet import Fleet
from catalog.schema import ProviderConfig
from chassis.settings import secret_of
from gateway.providers.batch_port import BatchProvider
from gateway.providers.http import HttpLimits
from gateway.providers.making import SetupProblem
from gateway.providers.openai_batch import OpenAIBatches

_OWN_HOST = "api.openai.com"
_KINDS = frozenset({"openai"})


def make_batch_providers(
    fleet: Fleet, session: aiohttp.ClientSession, environ: Mapping[str, str]
) -> dict[str, BatchProvider]:
    """Those that are asked by their endpoint, by name. Raises: SetupProblem with every problem."""
    asked = fleet.config.batch.providers
    problems = [
        f"batch.providers.{name}: is no provider of this file"
        for name in asked
        if name not in fleet.config.providers
    ]
    made: dict[str, BatchProvider] = {}
    timeouts = fleet.config.timeouts
    for name, config in fleet.config.providers.items():
        address = config.address(environ)
        if address is None or not _by_endpoint(config, asked.get(name), address):
            continue
        if str(config.kind) not in _KINDS:
            problems.append(f"batch.providers.{name}: no batch endpoint is known for its kind")
            continue
        key = secret_of(environ, config.api_key_env) if config.api_key_env else ""
        made[name] = OpenAIBatches(
            name=name,
            base_url=address,
            api_key=SecretStr(key) if key else None,
            session=session,
            limits=HttpLimits(
                answer_seconds_max=config.timeout_seconds,
                connect_seconds_max=timeouts.connect_seconds,
                idle_seconds_max=timeouts.idle_seconds,
            ),
            now=time.time,
        )
    if problems:
        raise SetupProblem(problems)
    return made


def _by_endpoint(config: ProviderConfig, way: BatchWay | None, address: str) -> bool:
    if way is not None:
        return way is BatchWay.ENDPOINT
    return str(config.kind) in _KINDS and urlsplit(address).hostname == _OWN_HOST
