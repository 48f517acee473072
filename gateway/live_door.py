"""The door that stays while the saga behind it is changed for that of a new fleet file."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from spendgate.gateway.v1 import compare_pb2, estimate_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2 as router_pb

from chassis.deadline import Deadline
from gateway.door import Door, Identity, TokenCount


class Saga(Door, Protocol):
    """A door that counts who is inside."""

    @property
    def under_way(self) -> int:
        """Requests under way."""
        ...


class LiveDoor:
    """gateway.door.Door. A request goes to the saga of the moment it comes, and stays there."""

    def __init__(self, door: Saga) -> None:
        self._door = door

    def take_over(self, door: Saga) -> None:
        """Requests from now on go to `door`."""
        self._door = door

    @property
    def under_way(self) -> int:
        """Requests under way in the saga of this moment."""
        return self._door.under_way

    async def authenticate(self, authorization: str | None) -> Identity:
        """The caller behind an `authorization` header."""
        return await self._door.authenticate(authorization)

    async def complete(
        self,
        request: pb.CompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> pb.CompleteResponse:
        """Answers a prompt."""
        return await self._door.complete(request, identity, traceparent, deadline)

    def stream(
        self,
        request: pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        """Answers piece by piece."""
        return self._door.stream(request, identity, traceparent, deadline)

    async def count_tokens(
        self, request: pb.CompleteRequest, identity: Identity, deadline: Deadline
    ) -> TokenCount:
        """What a model would be asked to read."""
        return await self._door.count_tokens(request, identity, deadline)

    async def embed(
        self, request: pb.EmbedRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.EmbedResponse:
        """Makes vectors of texts."""
        return await self._door.embed(request, identity, traceparent, deadline)

    async def estimate(
        self,
        request: estimate_pb2.EstimateRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> estimate_pb2.EstimateResponse:
        """What a prompt would cost."""
        return await self._door.estimate(request, identity, traceparent, deadline)

    async def compare(
        self,
        request: compare_pb2.CompareRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> compare_pb2.CompareResponse:
        """The same prompt by several models."""
        return await self._door.compare(request, identity, traceparent, deadline)

    async def submit_feedback(
        self, request: pb.SubmitFeedbackRequest, identity: Identity
    ) -> pb.SubmitFeedbackResponse:
        """Takes a caller's word on an answer in."""
        return await self._door.submit_feedback(request, identity)

    async def list_models(self, deadline: Deadline) -> Sequence[router_pb.Model]:
        """Every configured model, by name."""
        return await self._door.list_models(deadline)
