"""The adapter against every way in which a provider can fail."""

import asyncio
import logging
import tracemalloc
from contextlib import aclosing

import pytest

from chassis.deadline import Deadline
from gateway.providers.http import HttpLimits
from gateway.providers.port import (
    Billed,
    Provider,
    ProviderDelta,
    ProviderEnd,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
    Unavailability,
)
from tests.fakes.openai_scripts import ERROR_CANARY, RETRY_AFTER_SECONDS
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import (
    KEY,
    Open,
    call,
    failure,
    soon,
    until_hung_up,
    whole_stream,
)

FAILURES = {
    "fail-401": (Unavailability.CREDENTIALS, Billed.NO, 401),
    "fail-404": (Unavailability.NOT_FOUND, Billed.NO, 404),
    "fail-429": (Unavailability.RATE_LIMITED, Billed.NO, 429),
    "fail-429-quota": (Unavailability.QUOTA_USED_UP, Billed.NO, 429),
    "fail-500": (Unavailability.SERVER_ERROR, Billed.NO, 500),
    "fail-503": (Unavailability.SERVER_ERROR, Billed.NO, 503),
    "fail-504": (Unavailability.SERVER_ERROR, Billed.UNKNOWN, 504),
    "redirect": (Unavailability.REDIRECT, Billed.NO, 307),
    "reset": (Unavailability.RESET, Billed.UNKNOWN, 0),
    "garbage": (Unavailability.BAD_ANSWER, Billed.UNKNOWN, 200),
    "error-in-stream": (Unavailability.SERVER_ERROR, Billed.UNKNOWN, 200),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", FAILURES)
async def test_failures_of_the_provider(provider: Provider, model: str, streamed: bool) -> None:
    """Each failure has its word, and says whether the call may have cost."""
    error = await failure(provider, call(model), streamed)
    assert isinstance(error, ProviderUnavailable)
    assert (error.reason, error.billed, error.http_status) == FAILURES[model]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "reason"),
    [("fail-400", Refusal.REQUEST_INVALID), ("fail-400-context", Refusal.CONTEXT_TOO_LONG)],
)
async def test_refusals_of_the_provider(
    provider: Provider, model: str, reason: Refusal, streamed: bool
) -> None:
    """A request that the provider will not take names the option, and costs nothing."""
    error = await failure(provider, call(model), streamed)
    assert isinstance(error, ProviderRefused)
    assert (error.reason, error.billed, error.http_status, error.param) == (
        reason,
        Billed.NO,
        400,
        "temperature",
    )


async def test_a_prompt_that_cannot_be_sent_is_refused(
    upstream: OpenAIUpstream, provider: Provider
) -> None:
    """Options that speak over the model or the price never reach a provider."""
    error = await failure(provider, call("happy", extra_json='{"model": "dear"}'), streamed=False)
    assert isinstance(error, ProviderRefused)
    assert not upstream.seen


async def test_the_provider_says_when_to_come_back(provider: Provider) -> None:
    """Retry-After is handed on."""
    error = await failure(provider, call("fail-429"), streamed=False)
    assert isinstance(error, ProviderUnavailable)
    assert error.retry_after_seconds == RETRY_AFTER_SECONDS


async def test_a_redirect_is_not_followed(upstream: OpenAIUpstream, provider: Provider) -> None:
    """The key goes where the operator said and nowhere else."""
    await failure(provider, call("redirect"), streamed=False)
    assert upstream.calls == {"redirect": 1}


@pytest.mark.parametrize("model", ["reset-mid-stream", "cut-short"])
async def test_a_stream_that_breaks(provider: Provider, model: str) -> None:
    """What came before the break was told; the end is an error, never a short answer."""
    pieces: list[ProviderDelta | ProviderEnd] = []

    async def read() -> None:
        async for event in provider.stream(call(model), soon()):
            pieces.append(event)  # what came before the error counts

    with pytest.raises(ProviderUnavailable) as caught:
        await read()
    assert (caught.value.reason, caught.value.billed) == (Unavailability.RESET, Billed.UNKNOWN)
    assert pieces
    assert not any(isinstance(piece, ProviderEnd) for piece in pieces)


async def test_nobody_there(open_provider: Open, upstream: OpenAIUpstream) -> None:
    """No connection: nothing was sent, so nothing was billed."""
    provider = open_provider()
    await upstream.stop()
    error = await failure(provider, call("happy"), streamed=False)
    assert (error.reason, error.billed) == (Unavailability.CONNECT, Billed.NO)


@pytest.mark.parametrize("model", ["hang", "hang-mid-stream"])
async def test_the_deadline_ends_a_call(
    upstream: OpenAIUpstream, provider: Provider, model: str
) -> None:
    """A provider that hangs is left when the time is up, and its connection closed."""
    with pytest.raises(ProviderUnavailable) as caught:
        await whole_stream(provider, call(model), Deadline.after(0.2))
    assert (caught.value.reason, caught.value.billed) == (Unavailability.TIMEOUT, Billed.UNKNOWN)
    await until_hung_up(upstream, model)


async def test_no_time_left_means_no_call(upstream: OpenAIUpstream, provider: Provider) -> None:
    """What cannot be waited for is not begun, so it costs nothing."""
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.complete(call("happy"), Deadline.after(0))
    assert (caught.value.reason, caught.value.billed) == (Unavailability.TIMEOUT, Billed.NO)
    assert not upstream.seen


async def test_silence_ends_a_stream(open_provider: Open) -> None:
    """A stream that falls silent is given up long before the deadline."""
    provider = open_provider(HttpLimits(idle_seconds_max=0.2))
    with pytest.raises(ProviderUnavailable) as caught:
        await whole_stream(provider, call("hang-mid-stream"), Deadline.after(60))
    assert caught.value.reason == Unavailability.TIMEOUT


async def test_a_cancelled_call_hangs_up(upstream: OpenAIUpstream, provider: Provider) -> None:
    """A caller who goes away stops the provider's work."""
    task = asyncio.create_task(provider.complete(call("hang"), soon()))
    async with asyncio.timeout(5):
        await upstream.until(lambda: bool(upstream.seen))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_hung_up(upstream, "hang")


async def test_a_closed_stream_hangs_up(upstream: OpenAIUpstream, provider: Provider) -> None:
    """So does a caller who stops reading a stream."""
    async with aclosing(provider.stream(call("slow"), soon())) as events:
        async for _ in events:
            break
    await until_hung_up(upstream, "slow")


@pytest.mark.parametrize("model", ["bomb", "happy"])
async def test_an_answer_has_a_limit(open_provider: Open, model: str) -> None:
    """Too large an answer is refused before it fills the memory, packed or not."""
    provider = open_provider(HttpLimits(answer_bytes_max=300))
    wanted = call(model, "many words " * 100)
    tracemalloc.start()
    error = await failure(provider, wanted, streamed=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (error.reason, error.billed) == (Unavailability.ANSWER_TOO_LARGE, Billed.UNKNOWN)
    assert peak < 64 * 2**20


@pytest.mark.parametrize(
    "limits", [HttpLimits(stream_bytes_max=2_000), HttpLimits(event_bytes_max=100)]
)
async def test_a_stream_has_a_limit(open_provider: Open, limits: HttpLimits) -> None:
    """So has a stream, as a whole and in each event."""
    error = await failure(open_provider(limits), call("slow"), streamed=True)
    assert error.reason == Unavailability.ANSWER_TOO_LARGE


@pytest.mark.parametrize(
    "model",
    ["fail-400", "fail-401", "fail-429", "fail-500", "garbage", "error-in-stream", "redirect"],
)
async def test_errors_quote_nobody(
    provider: Provider, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the prompt, nor the key, nor what the provider wrote is in an error or a log."""
    caplog.set_level(logging.DEBUG)
    wanted = call(model, "canary-in-prompt")
    for streamed in (False, True):
        error = await failure(provider, wanted, streamed)
        told = f"{error} {error!r} {vars(error)} {caplog.text}"
        for canary in ("canary", *ERROR_CANARY.split(), KEY):
            assert canary not in told
