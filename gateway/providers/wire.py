"""A provider's protocol over HTTP, behind the provider port.

A Wire knows one protocol: how a call is written and how answers are read. WireProvider does what
is the same for all of them: the pool, bounds, work beside the loop, errors in fixed words.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import aiohttp
import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from chassis.deadline import Deadline
from chassis.errors import InvalidFields
from gateway.anthropic.for_others import chat_prompt
from gateway.openai.answer import BadAnswer, FailedInside
from gateway.providers.http import Clock, HttpLimits, ProviderHttp
from gateway.providers.options import Options, OptionUnsupported, UnsupportedPolicy
from gateway.providers.port import (
    Billed,
    ProviderAnswer,
    ProviderCall,
    ProviderDelta,
    ProviderEnd,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
    Unavailability,
)
from gateway.providers.sse import EventTooLarge, SseParser

# Above this, translation is done beside the loop: it takes about a millisecond.
OFF_LOOP_BYTES = 32 * 2**10
# Silence allowed between the end of a stream and the end of its response; then the connection
# is given up, which costs no more than a new one.
_DRAIN_SECONDS_MAX = 0.05

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class CutOff(Exception):
    """A stream ended before its answer was whole."""


class StreamReading(Protocol):
    """One stream as it is read."""

    @property
    def done(self) -> bool:
        """The protocol's own end was seen: nothing after it is read."""
        ...

    def take(self, event: bytes) -> list[gateway_pb2.Delta]:
        """The pieces in the data of an event. Raises: BadAnswer, FailedInside."""
        ...

    def end(self) -> ProviderEnd:
        """What the stream told beside its pieces. Raises: BadAnswer when it told nothing, CutOff
        when it broke off."""
        ...


class EventParser(Protocol):
    """Finds events in the bytes of a stream, which may be cut anywhere."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes. Raises: EventTooLarge, BadAnswer, FailedInside."""
        ...

    def finish(self) -> list[bytes]:
        """What is left at the end of the stream. Raises like feed()."""
        ...


class Wire(Protocol):
    """One protocol at one provider."""

    def url(self, call: ProviderCall, *, stream: bool) -> str:
        """Where the call goes."""
        ...

    def headers(self) -> Mapping[str, str]:
        """What goes with each call, the operator's key among it."""
        ...

    def render(self, call: ProviderCall, options: Options, *, stream: bool) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        ...

    def read(self, value: Any) -> ProviderAnswer:
        """A whole answer from JSON. Raises: BadAnswer, FailedInside."""
        ...

    def stream(self) -> StreamReading:
        """A reading of one stream."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """What an adapter needs beside its protocol. `name` is the provider's configured one."""

    name: str
    session: aiohttp.ClientSession
    limits: HttpLimits
    now: Clock
    unsupported: UnsupportedPolicy = "error"
    # Whether the gateway helps the provider's prompt cache where the caller does not.
    prompt_caching: bool = True


class WireProvider:
    """gateway.providers.port.Provider over a Wire."""

    def __init__(self, line: Line, wire: Wire) -> None:
        self._line = line
        self._wire = wire
        self._http = self._open_http(line)
        self._headers = {
            "Content-Type": "application/json",
            # What comes packed is unpacked within bounds; it is not asked for.
            "Accept-Encoding": "identity",
            "User-Agent": "spendgate",
            **wire.headers(),
        }

    async def complete(self, call: ProviderCall, deadline: Deadline) -> ProviderAnswer:
        """The whole answer. Raises: ProviderRefused, ProviderUnavailable."""
        body, warnings = await self._body(call, stream=False)
        url = self._wire.url(call, stream=False)
        headers = {"Accept": "application/json", **self._headers_of(call, url, body)}
        async with self._http.post(url, body, headers, deadline, idle=False) as response:
            answer = await self._http.whole_body(response)
        try:
            read = await beside_the_loop(self._read, answer, len(answer))
        except BadAnswer:
            raise self._unavailable(Unavailability.BAD_ANSWER) from None
        except FailedInside:
            raise self._unavailable(Unavailability.SERVER_ERROR) from None
        return read.warned(warnings)

    async def stream(
        self, call: ProviderCall, deadline: Deadline
    ) -> AsyncGenerator[ProviderDelta | ProviderEnd, None]:
        """The answer piece by piece. Raises: ProviderRefused, ProviderUnavailable."""
        body, warnings = await self._body(call, stream=True)
        reading = self._wire.stream()
        url = self._wire.url(call, stream=True)
        headers = {"Accept": "text/event-stream", **self._headers_of(call, url, body)}
        async with self._http.post(url, body, headers, deadline, idle=True) as response:
            try:
                async with aclosing(self._events(response, reading)) as events:
                    async for event in events:
                        for delta in reading.take(event):
                            yield ProviderDelta(delta)
                end = reading.end()
            except BadAnswer:
                raise self._unavailable(Unavailability.BAD_ANSWER) from None
            except FailedInside:
                raise self._unavailable(Unavailability.SERVER_ERROR) from None
            except CutOff:
                raise self._unavailable(Unavailability.RESET) from None
            except EventTooLarge:
                raise self._unavailable(Unavailability.ANSWER_TOO_LARGE) from None
        yield end.warned(warnings)

    # What a protocol may do otherwise.

    def _translated(self, prompt: chat_pb2.Prompt, options: Options) -> chat_pb2.Prompt:
        """The prompt as the protocol can say it. Raises: InvalidFields, OptionUnsupported."""
        return chat_prompt(prompt, options)

    def _open_http(self, line: Line) -> ProviderHttp:
        """The way to the provider."""
        return ProviderHttp(line.name, line.session, line.limits, line.now)

    def _headers_of(self, call: ProviderCall, url: str, body: bytes) -> Mapping[str, str]:
        """The headers of one request."""
        del call, url, body
        return self._headers

    def _parser(self) -> EventParser:
        """What finds the events in a stream's bytes."""
        return SseParser(self._line.limits.event_bytes_max)

    async def _events(
        self, response: aiohttp.ClientResponse, reading: StreamReading
    ) -> AsyncGenerator[bytes, None]:
        """The data of each event up to the protocol's own end, that included."""
        parser = self._parser()
        bytes_left = self._line.limits.stream_bytes_max
        async for piece in response.content.iter_any():
            bytes_left -= len(piece)
            if bytes_left < 0:
                raise EventTooLarge
            for event in parser.feed(piece):
                yield event
                if reading.done:
                    await _drain(response)
                    return
        for event in parser.finish():
            yield event

    async def _body(self, call: ProviderCall, *, stream: bool) -> tuple[bytes, tuple[str, ...]]:
        options = Options(self._line.name, self._line.unsupported)

        def render(wanted: ProviderCall) -> bytes:
            told = replace(wanted, prompt=self._translated(wanted.prompt, options))
            return orjson.dumps(self._wire.render(told, options, stream=stream))

        try:
            body = await beside_the_loop(render, call, call.prompt.ByteSize())
        except OptionUnsupported as error:
            raise ProviderRefused(
                self._line.name,
                http_status=400,
                reason=Refusal.OPTION_UNSUPPORTED,
                param=error.option,
            ) from None
        except (InvalidFields, orjson.JSONEncodeError):
            raise ProviderRefused(self._line.name, http_status=400) from None
        return body, options.warnings

    def _read(self, body: bytes) -> ProviderAnswer:
        return self._wire.read(json_of(body))

    def _unavailable(self, reason: Unavailability) -> ProviderUnavailable:
        return ProviderUnavailable(self._line.name, reason, billed=Billed.UNKNOWN, http_status=200)


async def beside_the_loop(work: Callable[[_Item], _Result], item: _Item, size: int) -> _Result:
    """`work(item)`, in a worker when `size` (bytes) is such that the loop would stand still."""
    if size > OFF_LOOP_BYTES:
        return await asyncio.to_thread(work, item)
    return work(item)


def json_of(body: bytes) -> Any:
    """The JSON in `body`. Raises: BadAnswer."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer from None


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Reads past the end of a stream, so that its connection can be used again."""
    if response.content.at_eof():
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS_MAX):
            await response.content.readany()
