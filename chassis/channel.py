"""A line to another service: always a deadline, a token, the trace; errors with their details."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from opentelemetry import metrics
from opentelemetry.trace import INVALID_SPAN, Span

from chassis import names
from chassis.auth import BEARER
from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import RemoteError
from chassis.local import LOCAL, LocalChannel
from chassis.telemetry import traceparent_of
from chassis.tls import Renewal, TlsFiles, TlsPems, channel_credentials

RECEIVE_BYTES_MAX = 16 * 1024 * 1024
KEEPALIVE_MS = 60_000
KEEPALIVE_TIMEOUT_MS = 20_000
# A replica that is back is found within a second: in a rolling restart the next one goes soon.
RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
# How often the certificate files are looked at, and how long calls on the old channel may go on.
RENEWAL_SECONDS = 10.0
OLD_CHANNEL_SECONDS_MAX = 120.0

_duration = metrics.get_meter("spendgate").create_histogram(
    names.RPC_CLIENT_DURATION,
    unit="s",
    description="Time a call took as its caller saw it.",
    explicit_bucket_boundaries_advisory=names.DURATION_BOUNDARIES_SECONDS,
)


def service_config(service_name: str) -> str:
    """Round robin over healthy replicas; UNAVAILABLE is tried again, nothing else is."""
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": service_name},
            "methodConfig": [
                {
                    "name": [{"service": service_name}],
                    "retryPolicy": {
                        "maxAttempts": 4,
                        "initialBackoff": "0.05s",
                        "maxBackoff": "1s",
                        "backoffMultiplier": 3,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ],
            "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        }
    )


class Link:
    """A channel to one service of the fleet."""

    def __init__(
        self,
        target: str,
        service_name: str,
        token: str | None,
        *,
        lazy_ready: bool = False,
        tls: TlsFiles | None = None,
    ) -> None:
        """`target` LOCAL: the service lives in this process, and nothing is encrypted or shown.

        `lazy_ready`: the first call waits for the service to come up, within its deadline.

        `tls`: encrypted, both sides shown; renewed files are taken without a restart.
        Raises: TlsUnreadable.
        """
        self.service_name = service_name
        self._target = target
        self._metadata = (("authorization", BEARER + token),) if token else ()
        self._wait_for_ready = lazy_ready
        self._renewal = Renewal(tls) if tls is not None else None
        self._look_at = 0.0
        self._closing: set[asyncio.Task[None]] = set()
        self.local = target == LOCAL
        self._channel: Any
        if self.local:
            self._channel = LocalChannel(service_name)
        else:
            self._channel = self._open(self._renewal.pems if self._renewal is not None else None)

    def stub(self, make: Callable[[grpc.aio.Channel], Any]) -> Any:
        """A generated stub on this channel."""
        return make(self._channel) if self._renewal is None else _RenewingStub(self, make)

    def channel(self) -> grpc.aio.Channel:
        """The channel to use now: a new one when the certificate files were renewed."""
        now = time.monotonic()
        if self._renewal is not None and now >= self._look_at:
            self._look_at = now + RENEWAL_SECONDS
            if (pems := self._renewal.renewed()) is not None:
                old, self._channel = self._channel, self._open(pems)
                task = asyncio.create_task(old.close(OLD_CHANNEL_SECONDS_MAX))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        return self._channel

    def _open(self, pems: TlsPems | None) -> grpc.aio.Channel:
        options = [
            ("grpc.service_config", service_config(self.service_name)),
            ("grpc.max_receive_message_length", RECEIVE_BYTES_MAX),
            ("grpc.max_send_message_length", RECEIVE_BYTES_MAX),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            *RECONNECT,
            # A provider's proxy settings must not catch the fleet's own calls.
            ("grpc.enable_http_proxy", 0),
        ]
        if pems is None:
            return grpc.aio.insecure_channel(self._target, options=options)
        return grpc.aio.secure_channel(self._target, channel_credentials(pems), options=options)

    async def call(
        self, method: Any, request: Any, deadline: Deadline, span: Span = INVALID_SPAN
    ) -> Any:
        """The response of `method`, a stub's unary method. `span` becomes the parent there.

        Raises: DeadlinePassed before it is sent; RemoteError with the other side's status.
        """
        left = deadline.left_seconds()
        if left <= 0:
            raise DeadlinePassed
        outcome = "OK"
        try:
            return await method(
                request,
                timeout=left,
                metadata=self._with_trace(span),
                wait_for_ready=self._wait_for_ready,
            )
        except grpc.aio.AioRpcError as error:
            outcome = error.code().name
            raise RemoteError.from_rpc(error) from None
        except RemoteError as error:
            outcome = error.code.name
            raise
        finally:
            taken = left - deadline.left_seconds()
            _duration.record(
                taken, {"rpc.service": self.service_name, names.RPC_STATUS_CODE: outcome}
            )

    async def stream(
        self, method: Any, request: Any, deadline: Deadline, span: Span = INVALID_SPAN
    ) -> AsyncIterator[Any]:
        """The responses of `method`, a stub's unary-stream method; raises like call()."""
        left = deadline.left_seconds()
        if left <= 0:
            raise DeadlinePassed
        call = method(request, timeout=left, metadata=self._with_trace(span))
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise RemoteError.from_rpc(error) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        """Ends the channel and the calls on it."""
        for task in tuple(self._closing):
            task.cancel()
        await self._channel.close()

    def _with_trace(self, span: Span) -> tuple[tuple[str, str], ...]:
        traceparent = traceparent_of(span)
        if not traceparent:
            return self._metadata
        return (*self._metadata, ("traceparent", traceparent))


class _RenewingStub:
    """A generated stub that is made anew when its link has a new channel."""

    def __init__(self, link: Link, make: Callable[[grpc.aio.Channel], Any]) -> None:
        self._link = link
        self._make = make
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(request: Any, **options: Any) -> Any:
            channel = self._link.channel()
            if channel is not self._channel:
                self._channel, self._stub = channel, self._make(channel)
            return getattr(self._stub, method)(request, **options)

        return call
