"""A line to the gateway: see README.md for ten lines to a first answer."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as pb_grpc

from spendgate_client.errors import Overloaded, ServiceUnavailable, SpendgateError, typed

TRIES_MAX = 3
BACKOFF_SECONDS = 0.1
DEADLINE_SECONDS = 120.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
# Text, or messages of {"role", "content"}.
Prompt = str | Sequence[dict[str, str]]


@dataclass(frozen=True)
class Ask:
    """What to ask beside the prompt. `options` are those of the contract's RequestOptions."""

    model: str = "auto"
    system: str = ""
    sampling: chat_pb2.Sampling | None = None
    options: dict[str, Any] = field(default_factory=dict)
    deadline_seconds: float = DEADLINE_SECONDS
    traceparent: str = ""


DEFAULTS = Ask()


@dataclass(frozen=True)
class Answer:
    """The first choice's text, all choices, and what it took."""

    text: str
    choices: Sequence[chat_pb2.Choice]
    summary: pb.Summary


@dataclass(frozen=True)
class Piece:
    """Text to add, or the summary, which comes last."""

    text: str = ""
    summary: pb.Summary | None = None


class Spendgate:
    """Safe to share between threads. Closes at the end of a `with`, or by close()."""

    def __init__(
        self, address: str, key: str, *, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        """`address` is host:port or a gRPC target; without `credentials` it is plaintext."""
        options = [
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ]
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options)
        self._stub = pb_grpc.GatewayServiceStub(self._channel)
        self._key = key

    def __enter__(self) -> "Spendgate":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the line and the calls on it."""
        self._channel.close()

    def complete(self, prompt: Prompt, ask: Ask = DEFAULTS) -> Answer:
        """Answers `prompt`.

        Tried again only where nothing can have been paid for: shed before work began, or never
        arrived. Raises: SpendgateError.
        """
        request = pb.CompleteRequest(
            model=ask.model, prompt=_prompt(prompt, ask), options=pb.RequestOptions(**ask.options)
        )
        until = time.monotonic() + ask.deadline_seconds
        tries = 0
        while True:
            tries += 1
            try:
                response = self._stub.Complete(
                    request, timeout=until - time.monotonic(), metadata=self._metadata(ask)
                )
            except grpc.RpcError as error:
                refusal = typed(error)
                wait = _pause(refusal, tries)
                if wait is None or time.monotonic() + wait > until:
                    raise refusal from None
                time.sleep(wait)
                continue
            text = response.choices[0].message.content if response.choices else ""
            return Answer(text, response.choices, response.summary)

    def stream(self, prompt: Prompt, ask: Ask = DEFAULTS) -> Iterator[Piece]:
        """Answers piece by piece. Closing the iterator cancels the call. Raises: SpendgateError."""
        request = pb.StreamCompleteRequest(
            model=ask.model, prompt=_prompt(prompt, ask), options=pb.RequestOptions(**ask.options)
        )
        call = self._stub.StreamComplete(
            request, timeout=ask.deadline_seconds, metadata=self._metadata(ask)
        )
        try:
            for response in call:
                if response.HasField("summary"):
                    yield Piece(summary=response.summary)
                elif response.delta.content:
                    yield Piece(text=response.delta.content)
        except grpc.RpcError as error:
            raise typed(error) from None
        finally:
            call.cancel()

    def _metadata(self, ask: Ask) -> list[tuple[str, str]]:
        metadata = [("authorization", f"Bearer {self._key}")]
        if ask.traceparent:
            metadata.append(("traceparent", ask.traceparent))
        return metadata


def _prompt(prompt: Prompt, ask: Ask) -> chat_pb2.Prompt:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if ask.system:
        messages.insert(0, {"role": "system", "content": ask.system})
    return chat_pb2.Prompt(
        messages=[
            chat_pb2.Message(role=f"ROLE_{each['role'].upper()}", content=each["content"])
            for each in messages
        ],
        sampling=ask.sampling,
    )


def _pause(error: SpendgateError, tries: int) -> float | None:
    """Seconds to wait before another try, or None for no other."""
    if tries >= TRIES_MAX:
        return None
    if isinstance(error, Overloaded):
        return error.retry_after_seconds
    never_arrived = error.code is grpc.StatusCode.UNAVAILABLE and not error.reason
    if not isinstance(error, ServiceUnavailable) and not never_arrived:
        return None
    return random.uniform(0, BACKOFF_SECONDS * 2**tries)  # noqa: S311  # spreads callers
