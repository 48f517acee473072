"""Adapters of the fakes of Anthropic's and AWS's APIs, on one pool of connections."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from pydantic import SecretStr

from catalog.price import Rates
from gateway.anthropic.markers import Beginnings, Markers
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.http import open_session
from gateway.providers.options import UnsupportedPolicy
from gateway.providers.wire import Line
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.provider_calls import KEY, LIMITS

# Of claude-haiku-4-5, in pico-USD a token.
RATES = Rates(1_000_000, 100_000, 1_250_000, 2_000_000, 5_000_000, 1_000_000, 5_000_000)


def line_of(session: aiohttp.ClientSession, unsupported: UnsupportedPolicy = "error") -> Line:
    return Line("fake", session, LIMITS, time.time, unsupported)


def markers() -> Markers:
    return Markers(lambda _: RATES, Beginnings(time.monotonic))


@asynccontextmanager
async def anthropic_of(
    upstream: AnthropicUpstream, **options: Any
) -> AsyncIterator[AnthropicProvider]:
    """An adapter of `upstream`."""
    marked = options.pop("marked", False)
    async with open_session() as session:
        yield AnthropicProvider(
            line_of(session, **options),
            base_url=upstream.base_url,
            api_key=SecretStr(KEY),
            markers=markers() if marked else None,
        )
