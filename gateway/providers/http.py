"""HTTP to providers: one pool of connections, everything bounded, errors in fixed words."""

import io
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson
from yarl import URL

from chassis.deadline import Deadline
from gateway.net.guard import AddressGuard
from gateway.providers.port import (
    Billed,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
    Unavailability,
)

RETRY_AFTER_SECONDS_MAX = 3_600.0
_ERROR_BYTES_MAX = 64 * 2**10
_WRITTEN_AT_ONCE_BYTES_MAX = 64 * 2**10
_POOL_IDLE_SECONDS_MAX = 15.0

# A proxy gave up waiting: the work behind it may have been done.
_WORK_MAY_BE_DONE = frozenset({502, 504, 520, 522, 524})
# Not the caller's fault, though the status says so: 408 request timeout, 409 conflict, 424 the
# model behind it failed, 425.
_RETRYABLE_4XX = frozenset({408, 409, 424, 425})
_OPERATORS_4XX = {
    401: Unavailability.CREDENTIALS,
    402: Unavailability.QUOTA_USED_UP,
    403: Unavailability.CREDENTIALS,
    404: Unavailability.NOT_FOUND,
    405: Unavailability.NOT_FOUND,
}
# The only words of an error that are read. Its message is not: it quotes prompts and keys.
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_REFUSAL_CODES = {
    "context_length_exceeded": Refusal.CONTEXT_TOO_LONG,
    "exceed_context_size_error": Refusal.CONTEXT_TOO_LONG,
    "content_filter": Refusal.CONTENT_REFUSED,
    "content_policy_violation": Refusal.CONTENT_REFUSED,
    "moderation_blocked": Refusal.CONTENT_REFUSED,
}
# Google's word, in the details of a 400.
_KEY_CODE = "API_KEY_INVALID"
_TOO_LONG = (
    "maximum context length",
    "exceeds the maximum number of tokens",
    "exceeds the available context size",
    "too large for model with",
)
# Seconds since 1970, UTC.
Clock = Callable[[], float]
# How long to wait by the headers of an error, in seconds; the time now is since 1970.
RetryAfter = Callable[[Mapping[str, str], float], float | None]

# fmt: off
_PARAMS = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "reasoning_effort",
    "response_format", "seed", "service_tier", "stop", "store", "stream", "stream_options",
    "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one call to a provider."""

    answer_seconds_max: float = 120.0
    connect_seconds_max: float = 5.0
    # Silence between two pieces of an answer. A whole answer may take as long as it may.
    idle_seconds_max: float = 60.0
    answer_bytes_max: int = 32 * 2**20
    stream_bytes_max: int = 64 * 2**20
    event_bytes_max: int = 4 * 2**20


def open_session(
    guard: AddressGuard | None = None, connections_max: int = 1_024
) -> aiohttp.ClientSession:
    """The pool that all providers share. To be closed by who opened it.

    It connects only where `guard` lets it (the gateway always has one; without one, anywhere),
    keeps no cookies, takes no proxy from the environment and no netrc.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections_max,
            keepalive_timeout=_POOL_IDLE_SECONDS_MAX,
            resolver=guard,
            socket_factory=guard.socket if guard is not None else None,
            # A name is asked for again at each new connection, and looked at again.
            use_dns_cache=False,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


class ProviderHttp:
    """Posts to one provider; what goes wrong comes out as a ProviderError."""

    def __init__(
        self,
        provider: str,
        session: aiohttp.ClientSession,
        limits: HttpLimits,
        now: Clock,
        *,
        error_words: "Callable[[bytes | None], ToldError] | None" = None,
        retry_after: RetryAfter | None = None,
    ) -> None:
        """`error_words` and `retry_after` read what a protocol tells otherwise than OpenAI's."""
        self._provider = provider
        self._session = session
        self._limits = limits
        self._now = now
        self._told_error = told_error if error_words is None else error_words
        self._retry_after = retry_after or retry_after_seconds

    @asynccontextmanager
    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline, *, idle: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with a good status. `idle` bounds silence too, as fits a stream.

        Left by an exception, a cancellation too, the connection is closed, not given back.
        Raises: ProviderRefused, ProviderUnavailable.
        """
        left = deadline.sooner(self._limits.answer_seconds_max)
        async with self.ask("POST", url, body, headers, left, idle=idle) as response:
            yield response

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        url: str,
        body: bytes | aiohttp.FormData | None,
        headers: Mapping[str, str],
        deadline: Deadline,
        *,
        idle: bool = True,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The same for any method, and for as long as the deadline allows."""
        left = deadline.left_seconds()
        if left <= 0:
            raise self._unavailable(Unavailability.TIMEOUT, Billed.NO)
        timeout = aiohttp.ClientTimeout(
            total=left,
            sock_connect=self._limits.connect_seconds_max,
            sock_read=self._limits.idle_seconds_max if idle else None,
        )
        data = _in_pieces(body) if isinstance(body, bytes) else body
        try:
            # As it is: what is encoded in a path may be signed so.
            target = URL(url, encoded=True)
            async with self._session.request(
                method, target, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                try:
                    if not 200 <= response.status < 300:
                        raise await self._failure(response)
                    yield response
                except BaseException:
                    response.close()
                    raise
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._unavailable(Unavailability.CONNECT, Billed.NO) from error
        except TimeoutError as error:
            raise self._unavailable(Unavailability.TIMEOUT, Billed.UNKNOWN) from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise self._unavailable(Unavailability.RESET, Billed.UNKNOWN) from error
        except aiohttp.ClientError as error:
            raise self._unavailable(Unavailability.BAD_ANSWER, Billed.UNKNOWN) from error

    async def whole_body(self, response: aiohttp.ClientResponse) -> bytes:
        """The body of an answer. Raises: ProviderUnavailable ANSWER_TOO_LARGE."""
        body = await read_at_most(response, self._limits.answer_bytes_max)
        if body is None:
            raise self._unavailable(Unavailability.ANSWER_TOO_LARGE, Billed.UNKNOWN)
        return body

    def _unavailable(
        self, reason: Unavailability, billed: Billed, http_status: int = 0
    ) -> ProviderUnavailable:
        return ProviderUnavailable(self._provider, reason, billed=billed, http_status=http_status)

    async def _failure(self, response: aiohttp.ClientResponse) -> ProviderError:
        """What a response without an answer means."""
        status = response.status
        if status < 400:
            return self._unavailable(Unavailability.REDIRECT, Billed.NO, status)
        told = self._told_error(await read_at_most(response, _ERROR_BYTES_MAX))
        code, param = told.code, told.param
        if status == 429 or code in _QUOTA_CODES:
            used_up = code in _QUOTA_CODES
            reason = Unavailability.QUOTA_USED_UP if used_up else Unavailability.RATE_LIMITED
        elif code == _KEY_CODE:
            reason = Unavailability.CREDENTIALS
        elif status in _OPERATORS_4XX:
            reason = _OPERATORS_4XX[status]
        elif status >= 500 or status in _RETRYABLE_4XX:
            reason = Unavailability.SERVER_ERROR
        else:
            large = Refusal.REQUEST_TOO_LARGE if status == 413 else Refusal.REQUEST_INVALID
            refusal = _REFUSAL_CODES.get(code, large)
            return ProviderRefused(self._provider, http_status=status, reason=refusal, param=param)
        asked = self._retry_after(response.headers, self._now())
        return ProviderUnavailable(
            self._provider,
            reason,
            billed=Billed.UNKNOWN if status in _WORK_MAY_BE_DONE else Billed.NO,
            http_status=status,
            retry_after_seconds=told.retry_after_seconds if asked is None else asked,
        )


def _in_pieces(body: bytes) -> bytes | io.BytesIO:
    # Written at once, a large body would hold the loop up.
    return body if len(body) <= _WRITTEN_AT_ONCE_BYTES_MAX else io.BytesIO(body)


async def read_at_most(response: aiohttp.ClientResponse, bytes_max: int) -> bytes | None:
    """The body, unpacked; None, and the rest unread, when it is over `bytes_max`."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > bytes_max:
            return None
    return bytes(body)


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """How long the provider asks to wait, None when it does not say or nobody can tell.

    `now` is seconds since 1970. At most RETRY_AFTER_SECONDS_MAX, at least 0.
    """
    millis = headers.get("retry-after-ms", "")
    plain = headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", millis, re.ASCII):
        seconds = float(millis) / 1000
    elif re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", plain, re.ASCII):
        seconds = float(plain)
    else:
        try:
            seconds = parsedate_to_datetime(plain).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class ToldError:
    """What an error's body says, in words that are known; "" and None where it says nothing."""

    code: str = ""
    param: str = ""
    retry_after_seconds: float | None = None


def told_error(body: bytes | None) -> ToldError:
    """Reads the error object that OpenAI's, Google's and Mistral's APIs have in common."""
    try:
        value = orjson.loads(body or b"")
        value = value[0] if isinstance(value, list) else value
        # Mistral's errors are not wrapped.
        error = value.get("error") or value
        details = [each for each in error.get("details") or () if isinstance(each, dict)]
        return ToldError(
            _known_code(error, details), _known_param(error.get("param")), _retry_delay(details)
        )
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        return ToldError()


def _known_code(error: Mapping[str, Any], details: list[dict[str, Any]]) -> str:
    for name in ("code", "type"):
        word = error.get(name)
        if isinstance(word, str) and (word in _QUOTA_CODES or word in _REFUSAL_CODES):
            return word
    if any(each.get("reason") == _KEY_CODE for each in details):
        return _KEY_CODE
    # Looked at, never repeated: many servers have no code for it.
    message = error.get("message")
    if isinstance(message, str) and any(phrase in message.lower() for phrase in _TOO_LONG):
        return "context_length_exceeded"
    return ""


def _retry_delay(details: list[dict[str, Any]]) -> float | None:
    """google.rpc.RetryInfo in JSON: Google says there, not in a header, when to come back."""
    for each in details:
        delay = each.get("retryDelay")
        if isinstance(delay, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?s", delay, re.ASCII):
            return min(float(delay[:-1]), RETRY_AFTER_SECONDS_MAX)
    return None


def _known_param(param: Any) -> str:
    # Only its first word: further in, names are the caller's own.
    if not isinstance(param, str):
        return ""
    word = re.split(r"[^a-z_]", param, maxsplit=1)[0]
    return word if word in _PARAMS else ""
