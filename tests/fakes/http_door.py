"""An application behind the HTTP edge, for tests of the edge alone."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import embed_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2, hold_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from chassis.deadline import Deadline
from gateway.door import Identity, TokenCount
from gateway.errors import KeyInvalid

KEY = "sg-key-canary-7d1e"
SUMMARY = pb.Summary(
    request_id="req-1",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    model="small",
    provider="fake",
    source=pb.ANSWER_SOURCE_PROVIDER,
    route_explanation="cheapest that can",
    usage=chat_pb2.TokenUsage(input_tokens=7, cached_input_tokens=3, output_tokens=5),
    usage_source=entry_pb2.USAGE_SOURCE_REPORTED,
    cost_nanos=1_234_567_890,
    savings=[
        entry_pb2.Saving(cause=entry_pb2.SAVING_CAUSE_ROUTING, saved_nanos=90),
        entry_pb2.Saving(cause=entry_pb2.SAVING_CAUSE_CACHE, saved_nanos=-20),
    ],
    counterfactual_nanos=1_234_567_960,
    tightest=hold_pb2.BudgetLeft(budget_id="team", left_nanos=55, limit_nanos=100),
    latency_ms=12,
)
MODELS = [
    router_pb.Model(
        model="org/small",
        provider="fake",
        upstream_model="small-2026",
        aliases=["cheap"],
        price_status=router_pb.PRICE_STATUS_PRICED,
        price=router_pb.Price(input_picos=1_250_000, price_version="test 1"),
        capabilities=[router_pb.CAPABILITY_TOOLS],
        routable=True,
    ),
    router_pb.Model(model="large", provider="fake"),
]


def said(text: str) -> chat_pb2.Message:
    return chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=text)


@dataclass
class FakeDoor:
    """gateway.door.Door. Answers from its fields; what came is kept."""

    choices: list[chat_pb2.Choice] = field(
        default_factory=lambda: [
            chat_pb2.Choice(message=said("Hello you"), finish_reason=chat_pb2.FINISH_REASON_STOP)
        ]
    )
    deltas: list[pb.Delta] = field(
        default_factory=lambda: [
            pb.Delta(content="Hello"),
            pb.Delta(content=" you"),
            pb.Delta(finish_reason=chat_pb2.FINISH_REASON_STOP),
        ]
    )
    # Raised instead of an answer.
    fails: Exception | None = None
    # Raised in a stream, after its deltas.
    breaks: Exception | None = None
    # Waited for before the answer, and in a stream before its end.
    gate: asyncio.Event | None = None
    # Deltas without end.
    endless: bool = False
    requests: list[pb.CompleteRequest | pb.StreamCompleteRequest | pb.EmbedRequest] = field(
        default_factory=list
    )
    traceparents: list[str] = field(default_factory=list)
    deadlines: list[Deadline] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    # Set when a request was cancelled, or its stream closed early.
    given_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def authenticate(self, authorization: str | None) -> Identity:
        if authorization != f"Bearer {KEY}":
            raise KeyInvalid
        return Identity(tenant="acme", key_id="k1")

    async def complete(
        self, request: pb.CompleteRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.CompleteResponse:
        self._note(request, identity, traceparent, deadline)
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        if self.fails is not None:
            raise self.fails
        return pb.CompleteResponse(choices=self.choices, summary=SUMMARY)

    async def stream(
        self,
        request: pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        self._note(request, identity, traceparent, deadline)
        ended = False
        try:
            if self.fails is not None:
                raise self.fails
            for delta in self.deltas:
                yield pb.StreamCompleteResponse(delta=delta)
            while self.endless:
                yield pb.StreamCompleteResponse(delta=pb.Delta(content="x" * 10_000))
            if self.breaks is not None:
                raise self.breaks
            if self.gate is not None:
                await self.gate.wait()
            yield pb.StreamCompleteResponse(summary=SUMMARY)
            ended = True
        finally:
            if not ended:
                self.given_up.set()

    async def embed(self, request, identity, traceparent, deadline):
        self._note(request, identity, traceparent, deadline)
        if self.fails is not None:
            raise self.fails
        packed = struct.pack("<2f", 0.5, -1.5)
        as_bytes = request.encoding == embed_pb2.VECTOR_ENCODING_PACKED
        one = embed_pb2.Embedding(
            values=() if as_bytes else (0.5, -1.5), packed=packed if as_bytes else b""
        )
        return pb.EmbedResponse(
            embeddings=[one for _ in request.inputs], summary=SUMMARY, cached_count=1
        )

    async def count_tokens(self, request, identity, deadline):
        self._note(request, identity, "", deadline)
        if self.fails is not None:
            raise self.fails
        return TokenCount(17, 200)

    async def submit_feedback(self, request, identity):
        self.requests.append(request)
        return pb.SubmitFeedbackResponse(removed=True)

    async def list_models(self, deadline: Deadline) -> Sequence[router_pb.Model]:
        assert deadline.left_seconds() > 0
        if self.fails is not None:
            raise self.fails
        return MODELS

    def _note(
        self,
        request: pb.CompleteRequest | pb.StreamCompleteRequest | pb.EmbedRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> None:
        assert identity.tenant == "acme"
        self.requests.append(request)
        self.traceparents.append(traceparent)
        self.deadlines.append(deadline)
        self.begun.set()
