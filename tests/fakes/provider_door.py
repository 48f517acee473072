"""A door that hands every request straight to one provider: the edge and an adapter, nothing else.

So a client on one side and a server on the other show what translation both ways loses.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.deadline import Deadline
from gateway.door import Identity
from gateway.providers.port import Provider, ProviderCall, ProviderEnd
from tests.fakes.http_door import SUMMARY, FakeDoor

OUTPUT_TOKENS_MAX = 1_000


class ProviderDoor(FakeDoor):
    """gateway.door.Door before one provider."""

    provider: Provider

    def _call(self, request: pb.CompleteRequest | pb.StreamCompleteRequest) -> ProviderCall:
        self.requests.append(request)
        limit = request.prompt.sampling.output_tokens_max or OUTPUT_TOKENS_MAX
        return ProviderCall(request.model, request.prompt, limit, partition="acme")

    async def complete(
        self, request: pb.CompleteRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.CompleteResponse:
        answer = await self.provider.complete(self._call(request), deadline)
        return pb.CompleteResponse(choices=answer.choices, summary=_summary(answer.usage))

    async def stream(
        self,
        request: pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> AsyncIterator[pb.StreamCompleteResponse]:
        async with aclosing(self.provider.stream(self._call(request), deadline)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ProviderEnd):
                    yield pb.StreamCompleteResponse(summary=_summary(piece.usage))
                else:
                    yield pb.StreamCompleteResponse(delta=piece.delta)


def _summary(usage) -> pb.Summary:
    made = pb.Summary()
    made.CopyFrom(SUMMARY)
    if usage is not None:
        made.usage.CopyFrom(usage)
    return made
