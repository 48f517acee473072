"""Any server that speaks OpenAI's chat completions, behind the provider port."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import aiohttp
import orjson
from pydantic import SecretStr

from chassis.deadline import Deadline
from chassis.errors import InvalidFields
from gateway.openai.answer import BadAnswer, Chunk, FailedInside, read_answer, read_chunk
from gateway.openai.render import render_prompt
from gateway.openai.usage import UsageReading
from gateway.providers.http import Clock, HttpLimits, ProviderHttp
from gateway.providers.port import (
    Billed,
    ProviderAnswer,
    ProviderCall,
    ProviderDelta,
    ProviderEnd,
    ProviderRefused,
    ProviderUnavailable,
    Unavailability,
)
from gateway.providers.sse import EventTooLarge, SseParser

LimitField = Literal["max_tokens", "max_completion_tokens"]

# Above this, translation is done beside the loop: it takes about a millisecond.
_OFF_LOOP_BYTES = 32 * 2**10
# Silence allowed between the end of a stream and the end of its response; then the connection
# is given up, which costs no more than a new one.
_DRAIN_SECONDS_MAX = 0.05
_DONE = b"[DONE]"

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def limit_field_of(base_url: str) -> LimitField:
    """What the server at `base_url` calls the limit on output tokens.

    OpenAI's reasoning models refuse the older name; most other servers know only that.
    """
    host = urlsplit(base_url).hostname or ""
    newer = host == "api.openai.com" or host.endswith(".openai.azure.com")
    return "max_completion_tokens" if newer else "max_tokens"


class OpenAIProvider:
    """Calls the server at `base_url`, which goes up to and includes /v1."""

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        api_key: SecretStr | None,
        session: aiohttp.ClientSession,
        limits: HttpLimits,
        now: Clock,
        limit_field: LimitField | None = None,
    ) -> None:
        """`name` is the configured one. `limit_field` defaults to what the address tells."""
        self._name = name
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._limit_field = limit_field or limit_field_of(base_url)
        self._limits = limits
        self._http = ProviderHttp(name, session, limits, now)
        self._headers = {
            "Content-Type": "application/json",
            # What comes packed is unpacked within bounds; it is not asked for.
            "Accept-Encoding": "identity",
            "User-Agent": "spendgate",
        }
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key.get_secret_value()}"

    async def complete(self, call: ProviderCall, deadline: Deadline) -> ProviderAnswer:
        """The whole answer. Raises: ProviderRefused, ProviderUnavailable."""
        body = await self._body(call, stream=False)
        headers = {**self._headers, "Accept": "application/json"}
        async with self._http.post(self._url, body, headers, deadline, idle=False) as response:
            answer = await self._http.whole_body(response)
        try:
            return await _beside_the_loop(_read_answer, answer, len(answer))
        except BadAnswer:
            raise self._unavailable(Unavailability.BAD_ANSWER) from None
        except FailedInside:
            raise self._unavailable(Unavailability.SERVER_ERROR) from None

    async def stream(
        self, call: ProviderCall, deadline: Deadline
    ) -> AsyncGenerator[ProviderDelta | ProviderEnd, None]:
        """The answer piece by piece. Raises: ProviderRefused, ProviderUnavailable."""
        body = await self._body(call, stream=True)
        headers = {**self._headers, "Accept": "text/event-stream"}
        under_way = _StreamUnderWay()
        async with self._http.post(self._url, body, headers, deadline, idle=True) as response:
            try:
                async with aclosing(self._events(response)) as events:
                    async for event in events:
                        for delta in under_way.take(event):
                            yield delta
            except BadAnswer:
                raise self._unavailable(Unavailability.BAD_ANSWER) from None
            except FailedInside:
                raise self._unavailable(Unavailability.SERVER_ERROR) from None
            except EventTooLarge:
                raise self._unavailable(Unavailability.ANSWER_TOO_LARGE) from None
        if not under_way.chunk_seen:
            raise self._unavailable(Unavailability.BAD_ANSWER)
        if under_way.cut_off:
            raise self._unavailable(Unavailability.RESET)
        yield under_way.end()

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """The data of each event up to [DONE], that included."""
        parser = SseParser(self._limits.event_bytes_max)
        bytes_left = self._limits.stream_bytes_max
        async for piece in response.content.iter_any():
            bytes_left -= len(piece)
            if bytes_left < 0:
                raise EventTooLarge
            for event in parser.feed(piece):
                yield event
                if event == _DONE:
                    await _drain(response)
                    return
        for event in parser.finish():
            yield event

    async def _body(self, call: ProviderCall, *, stream: bool) -> bytes:
        try:
            return await _beside_the_loop(
                lambda wanted: self._render(wanted, stream=stream), call, call.prompt.ByteSize()
            )
        except (InvalidFields, orjson.JSONEncodeError):
            raise ProviderRefused(self._name, http_status=400) from None

    def _render(self, call: ProviderCall, *, stream: bool) -> bytes:
        body: dict[str, Any] = {
            "model": call.model,
            **render_prompt(call.prompt),
            self._limit_field: call.output_tokens_max,
        }
        if stream:
            body["stream"] = True
            # Without it a stream tells no tokens, and what is not told is not booked.
            body["stream_options"] = {"include_usage": True}
        return orjson.dumps(body)

    def _unavailable(self, reason: Unavailability) -> ProviderUnavailable:
        return ProviderUnavailable(self._name, reason, billed=Billed.UNKNOWN, http_status=200)


class _StreamUnderWay:
    """What a stream has told so far."""

    def __init__(self) -> None:
        self.chunk_seen = False
        self._done = False
        self._finish_reason_seen = False
        self._usage = UsageReading(None)
        self._model = ""
        self._response_id = ""
        self._service_tier = ""

    @property
    def cut_off(self) -> bool:
        """Whether it ended early: servers forget [DONE], but never why the answer stopped."""
        return not (self._done or self._finish_reason_seen)

    def take(self, event: bytes) -> list[ProviderDelta]:
        """The pieces in an event. Raises: BadAnswer, FailedInside."""
        if event == _DONE:
            self._done = True
            return []
        chunk = _read_chunk(event)
        self.chunk_seen = True
        # Some servers tell the tokens so far with every event: the last word counts.
        if chunk.usage.usage is not None or chunk.usage.impossible:
            self._usage = chunk.usage
        self._model = chunk.model or self._model
        self._response_id = chunk.response_id or self._response_id
        self._service_tier = chunk.service_tier or self._service_tier
        if any(delta.finish_reason for delta in chunk.deltas):
            self._finish_reason_seen = True
        return [ProviderDelta(delta) for delta in chunk.deltas]

    def end(self) -> ProviderEnd:
        return ProviderEnd(
            usage=self._usage.usage,
            usage_impossible=self._usage.impossible,
            response_model=self._model,
            response_id=self._response_id,
            service_tier=self._service_tier,
            told=self._usage.told,
        )


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Reads past the end of a stream, so that its connection can be used again."""
    if response.content.at_eof():
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS_MAX):
            await response.content.readany()


async def _beside_the_loop(work: Callable[[_Item], _Result], item: _Item, size: int) -> _Result:
    if size > _OFF_LOOP_BYTES:
        return await asyncio.to_thread(work, item)
    return work(item)


def _read_answer(body: bytes) -> ProviderAnswer:
    return read_answer(_json(body))


def _read_chunk(event: bytes) -> Chunk:
    return read_chunk(_json(event))


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer from None
