"""A provider on loopback and the adapter that calls it; the HTTP edge before a fake door."""

from collections.abc import AsyncIterator

import pytest

from gateway.providers.port import Provider
from tests.fakes.http_house import LIMITS, House, house_of
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import Open, providers_of


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
async def open_provider(upstream: OpenAIUpstream) -> AsyncIterator[Open]:
    async with providers_of(upstream) as opened:
        yield opened


@pytest.fixture
def provider(open_provider: Open) -> Provider:
    return open_provider()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with house_of(LIMITS) as made:
        yield made
