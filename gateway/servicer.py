"""The gRPC edge: proto in, the door, proto out."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as pb_grpc

from chassis.calls import current_call
from gateway.compression_trials import Caller, CompressionTest
from gateway.door import Door, Identity
from gateway.errors import KeyInvalid
from gateway.validate_embed import check_reply

SERVICE_NAME = "spendgate.gateway.v1.GatewayService"
# The saga opens the request's root span itself, at both edges alike.
OWN_SPAN_METHODS = frozenset(
    f"/{SERVICE_NAME}/{method}"
    for method in ("Complete", "StreamComplete", "Embed", "TestCompression")
)


class GatewayServicer(pb_grpc.GatewayServiceServicer):
    """spendgate.gateway.v1.GatewayService."""

    def __init__(self, door: Door, compression: CompressionTest) -> None:
        self._door = door
        self._compression = compression

    async def Complete(self, request: pb.CompleteRequest, _: Any) -> pb.CompleteResponse:
        """Answers a prompt."""
        call = current_call()
        return await self._door.complete(
            request, _identity(call.caller), call.traceparent, call.deadline
        )

    async def StreamComplete(
        self, request: pb.StreamCompleteRequest, _: Any
    ) -> AsyncIterator[pb.StreamCompleteResponse]:
        """Answers a prompt piece by piece."""
        call = current_call()
        events = self._door.stream(request, _identity(call.caller), call.traceparent, call.deadline)
        async with aclosing(events):
            async for event in events:
                yield event

    async def Embed(self, request: pb.EmbedRequest, _: Any) -> pb.EmbedResponse:
        """Makes vectors of texts."""
        check_reply(request)
        call = current_call()
        return await self._door.embed(
            request, _identity(call.caller), call.traceparent, call.deadline
        )

    async def SubmitFeedback(
        self, request: pb.SubmitFeedbackRequest, _: Any
    ) -> pb.SubmitFeedbackResponse:
        """Says how an answer was."""
        return await self._door.submit_feedback(request, _identity(current_call().caller))

    async def TestCompression(
        self, request: pb.TestCompressionRequest, _: Any
    ) -> pb.TestCompressionResponse:
        """Answers prompts as they are and compressed, and compares."""
        call = current_call()
        caller = Caller(_identity(call.caller), call.traceparent, call.deadline)
        return await self._compression.run(request, caller)


def _identity(caller: object) -> Identity:
    if not isinstance(caller, Identity):
        raise KeyInvalid
    return caller
