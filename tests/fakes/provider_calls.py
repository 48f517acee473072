"""Calls through the provider port, as the tests of its adapters make them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2

from chassis.deadline import Deadline
from gateway.providers.dialects import dialect_of
from gateway.providers.http import HttpLimits, open_session
from gateway.providers.join import AnswerJoiner
from gateway.providers.openai import OpenAIProvider
from gateway.providers.port import (
    Provider,
    ProviderCall,
    ProviderDelta,
    ProviderEnd,
    ProviderError,
)
from gateway.providers.wire import Line
from tests.fakes.openai_upstream import OpenAIUpstream

KEY = "sk-canary-key-5f2e"
LIMITS = HttpLimits(answer_seconds_max=20, connect_seconds_max=2, idle_seconds_max=10)

Open = Callable[..., Provider]


@asynccontextmanager
async def providers_of(upstream: OpenAIUpstream) -> AsyncIterator[Open]:
    """What makes adapters of `upstream`, on one pool of connections."""
    async with open_session() as session:

        def opened(
            limits: HttpLimits = LIMITS, dialect: str | None = None, **more: Any
        ) -> Provider:
            return OpenAIProvider(
                line_of(session, limits, **more),
                base_url=upstream.base_url,
                api_key=SecretStr(KEY),
                dialect=dialect_of(upstream.base_url, dialect),
            )

        yield opened


def line_of(session: Any, limits: HttpLimits = LIMITS, **more: Any) -> Line:
    """What every adapter needs beside its protocol."""
    return Line(name="fake", session=session, limits=limits, now=time.time, **more)


def call(model: str, text: str = "Wie spät ist es? 🕰", **prompt: Any) -> ProviderCall:
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)
    return ProviderCall(model, chat_pb2.Prompt(messages=[message], **prompt), 1_000)


def soon(seconds: float = 10) -> Deadline:
    return Deadline.after(seconds)


async def whole_stream(
    provider: Provider, wanted: ProviderCall, deadline: Deadline | None = None
) -> tuple[list[chat_pb2.Choice], ProviderEnd]:
    joiner = AnswerJoiner()
    async with aclosing(provider.stream(wanted, deadline or soon())) as events:
        async for event in events:
            if isinstance(event, ProviderEnd):
                return joiner.choices(), event
            assert isinstance(event, ProviderDelta)
            joiner.add(event.delta)
    pytest.fail("the stream ended without its end")


async def failure(provider: Provider, wanted: ProviderCall, streamed: bool) -> ProviderError:
    work = whole_stream(provider, wanted) if streamed else provider.complete(wanted, soon())
    with pytest.raises(ProviderError) as caught:
        await work
    return caught.value


async def until_hung_up(upstream: OpenAIUpstream, model: str) -> None:
    async with asyncio.timeout(5):
        await upstream.until(lambda: upstream.hung_up[model] > 0)
