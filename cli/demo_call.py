"""One request of the day through one of the gateway's doors."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as gateway_grpc
from spendgate.ledger.v1 import entry_pb2

from chassis.errors import RemoteError
from cli.demo_outcome import Outcome, Source
from cli.demo_rows import STRONG, Row

CALL_SECONDS_MAX = 120.0
RECEIVE_BYTES_MAX = 16 * 1024 * 1024

_SOURCES = {
    pb.ANSWER_SOURCE_PROVIDER: Source.PROVIDER,
    pb.ANSWER_SOURCE_CACHE_EXACT: Source.CACHE_EXACT,
    pb.ANSWER_SOURCE_CACHE_SEMANTIC: Source.CACHE_SEMANTIC,
    pb.ANSWER_SOURCE_SHARED: Source.SHARED,
}
REFUSED = "BUDGET_EXCEEDED"


@dataclass(frozen=True, slots=True)
class Manner:
    """How rows are put to this upstream.

    Models that reason refuse stop texts and need room to finish; the small local model needs
    the stop texts to finish at all.
    """

    strong_model: str
    keep_stop: bool = True
    output_tokens_min: int = 1

    def output_tokens_max(self, row: Row) -> int:
        """The limit that the row's answer gets."""
        return max(row.output_tokens_max, self.output_tokens_min)


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A row made ready: its model and everything that is said."""

    row: Row
    model: str
    prompt: chat_pb2.Prompt
    options: pb.RequestOptions = field(default_factory=pb.RequestOptions)


def make_ask(row: Row, system: str, history: Sequence[Turn], manner: Manner) -> Ask:
    """The request of a row, with what its conversation said so far."""
    messages = [chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=system)]
    for turn in history:
        messages.append(chat_pb2.Message(role=chat_pb2.ROLE_USER, content=turn.question))
        messages.append(chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=turn.answer))
    messages.append(chat_pb2.Message(role=chat_pb2.ROLE_USER, content=row.text))
    sampling = chat_pb2.Sampling(
        temperature=row.temperature, output_tokens_max=manner.output_tokens_max(row)
    )
    if manner.keep_stop:
        sampling.stop.extend(row.stop)
    return Ask(
        row=row,
        model=manner.strong_model if row.model == STRONG else row.model,
        prompt=chat_pb2.Prompt(messages=messages, sampling=sampling),
        options=pb.RequestOptions(feature=row.feature, user=row.user, session=row.session),
    )


class GrpcDoor:
    """The gateway's own API, in one piece or streamed."""

    def __init__(self, target: str, key: str) -> None:
        self._channel = grpc.aio.insecure_channel(
            target,
            options=[
                ("grpc.max_receive_message_length", RECEIVE_BYTES_MAX),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._stub: Any = gateway_grpc.GatewayServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {key}"),)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()

    async def send(self, ask: Ask) -> Outcome:
        """What becomes of a request. Never raises for a status of the gateway's."""
        began = time.perf_counter_ns()
        try:
            if ask.row.door == "stream":
                answer, summary = await self._stream(ask)
            else:
                answer, summary = await self._complete(ask)
        except grpc.aio.AioRpcError as error:
            return failure(ask.row, _micros(began), RemoteError.from_rpc(error))
        return success(ask.row, _micros(began), answer, summary)

    async def _complete(self, ask: Ask) -> tuple[str, pb.Summary]:
        request = pb.CompleteRequest(model=ask.model, prompt=ask.prompt, options=ask.options)
        response = await self._stub.Complete(
            request, metadata=self._metadata, timeout=CALL_SECONDS_MAX
        )
        return response.choices[0].message.content, response.summary

    async def _stream(self, ask: Ask) -> tuple[str, pb.Summary]:
        request = pb.StreamCompleteRequest(model=ask.model, prompt=ask.prompt, options=ask.options)
        pieces: list[str] = []
        summary = pb.Summary()
        call = self._stub.StreamComplete(request, metadata=self._metadata, timeout=CALL_SECONDS_MAX)
        async for response in call:
            if response.WhichOneof("event") == "summary":
                summary = response.summary
            else:
                pieces.append(response.delta.content)
        return "".join(pieces), summary


def success(row: Row, latency_us: int, answer: str, summary: pb.Summary) -> Outcome:
    """The outcome of an answered request."""
    return Outcome(
        row=row,
        source=_SOURCES[summary.source],
        latency_us=latency_us,
        answer=answer,
        model=summary.model,
        trace_id=summary.trace_id,
        request_id=summary.request_id,
        cost_nanos=summary.cost_nanos,
        counterfactual_nanos=summary.counterfactual_nanos,
        saved_nanos={cause_name(s.cause): s.saved_nanos for s in summary.savings},
        booking_pending=summary.booking_pending,
    )


def failure(row: Row, latency_us: int, error: RemoteError) -> Outcome:
    """The outcome of a request that got a status instead of an answer."""
    refused = error.reason == REFUSED
    return Outcome(
        row=row,
        source=Source.REFUSED if refused else Source.FAILED,
        latency_us=latency_us,
        budget_id=error.metadata.get("budgetId", "") if refused else "",
        reason=error.reason or error.code.name,
    )


def cause_name(cause: entry_pb2.SavingCause) -> str:
    """ "cache" for SAVING_CAUSE_CACHE."""
    return entry_pb2.SavingCause.Name(cause).removeprefix("SAVING_CAUSE_").lower()


def _micros(began_ns: int) -> int:
    return (time.perf_counter_ns() - began_ns) // 1000
