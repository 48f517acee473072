"""gateway.door.Door straight to one provider: an adapter behind the HTTP door, no saga."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.deadline import Deadline
from gateway.door import Identity
from gateway.errors import ERRORS
from gateway.http.intake import EdgeLimits
from gateway.http.parts import make_edge
from gateway.http.server import HttpServer
from gateway.providers.port import Provider, ProviderAnswer, ProviderCall, ProviderEnd
from tests.fakes.http_door import SUMMARY, FakeDoor


class ProviderDoor(FakeDoor):
    """Answers as the provider does."""

    provider: Provider

    def __init__(self, provider: Provider | None = None) -> None:
        """Without one now, `provider` is set before the first request."""
        super().__init__()
        if provider is not None:
            self.provider = provider

    async def complete(
        self, request: pb.CompleteRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.CompleteResponse:
        self.requests.append(request)
        answer = await self.provider.complete(_call(request), deadline)
        return pb.CompleteResponse(choices=answer.choices, summary=_summary(answer))

    async def stream(
        self,
        request: pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        self.requests.append(request)
        async with aclosing(self.provider.stream(_call(request), deadline)) as events:
            async for event in events:
                if isinstance(event, ProviderEnd):
                    yield pb.StreamCompleteResponse(summary=_summary(event))
                else:
                    yield pb.StreamCompleteResponse(delta=event.delta)


def _call(request: pb.CompleteRequest | pb.StreamCompleteRequest) -> ProviderCall:
    limit = request.prompt.sampling.output_tokens_max or 1_000
    return ProviderCall(request.model, request.prompt, limit)


def _summary(told: ProviderAnswer | ProviderEnd) -> pb.Summary:
    summary = pb.Summary()
    summary.CopyFrom(SUMMARY)
    summary.usage.CopyFrom(told.usage or chat_pb2.TokenUsage())
    summary.warnings.extend(told.warnings)
    return summary


@asynccontextmanager
async def open_door(door: FakeDoor) -> AsyncIterator[str]:
    """The HTTP edge before a door, on a socket; gives its base URL without /v1."""
    limits = EdgeLimits()
    edge = make_edge(
        door, ERRORS, limits, ready=lambda: True, new_id=lambda: "stream-1", now=lambda: 0.0
    )
    server = HttpServer(edge, limits)
    await server.start("127.0.0.1:0")
    yield f"http://{server.address}"
    await server.stop()
