"""What the gateway's edges, gRPC and HTTP, ask of the gateway itself."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from spendgate.gateway.v1 import compare_pb2, estimate_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2 as router_pb

from chassis.deadline import Deadline
from gateway.limits.rules import NO_RATES, Rates


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, as the key says. An empty field leaves the choice to the caller."""

    tenant: str
    key_id: str
    project: str = ""
    user: str = ""
    feature: str = ""
    admin: bool = False
    # Reads the tenant's books and settings, calls no model.
    viewer: bool = False
    # What the key may call ("*" at an end: any ending), how fast, and what is pinned to its calls.
    allowed_models: tuple[str, ...] = ()
    limits: Rates = NO_RATES
    tags: tuple[tuple[str, str], ...] = ()

    def may_call(self, model: str) -> bool:
        """True when the key may call the model of this name."""
        return not self.allowed_models or any(
            model.startswith(name[:-1]) if name.endswith("*") else model == name
            for name in self.allowed_models
        )


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens of a prompt. The real number is expected within `error_bound_permille` of them; 0 when
    they are exact."""

    tokens: int
    error_bound_permille: int


class Door(Protocol):
    """One application behind all edges. Errors are exceptions that gateway.errors.ERRORS maps."""

    async def authenticate(self, authorization: str | None) -> Identity:
        """The caller behind an `authorization` header. Raises: errors.KeyInvalid."""
        ...

    async def complete(
        self,
        request: pb.CompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> pb.CompleteResponse:
        """Answers a prompt. `traceparent` is the caller's W3C header, "" for none."""
        ...

    def stream(
        self,
        request: pb.StreamCompleteRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> AsyncGenerator[pb.StreamCompleteResponse, None]:
        """Answers piece by piece, the summary last. Closing the iterator early cancels the call."""
        ...

    async def embed(
        self, request: pb.EmbedRequest, identity: Identity, traceparent: str, deadline: Deadline
    ) -> pb.EmbedResponse:
        """Makes vectors of texts."""
        ...

    async def count_tokens(
        self, request: pb.CompleteRequest, identity: Identity, deadline: Deadline
    ) -> TokenCount:
        """What a model would be asked to read. Nothing is called, booked or kept."""
        ...

    async def estimate(
        self,
        request: estimate_pb2.EstimateRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> estimate_pb2.EstimateResponse:
        """What a prompt would cost. Nothing is booked."""
        ...

    async def compare(
        self,
        request: compare_pb2.CompareRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> compare_pb2.CompareResponse:
        """The same prompt by several models, each a request of its own."""
        ...

    async def submit_feedback(
        self, request: pb.SubmitFeedbackRequest, identity: Identity
    ) -> pb.SubmitFeedbackResponse:
        """Takes a caller's word on an answer in. Raises: InvalidFields; ServiceUnavailable."""
        ...

    async def list_models(self, deadline: Deadline) -> Sequence[router_pb.Model]:
        """Every configured model, by name."""
        ...
