"""Where it is remembered which idempotency keys were sent, and what came of them."""

import secrets
from typing import Protocol

from spendgate.cache.v1 import idempotency_pb2 as cache_pb
from spendgate.cache.v1 import idempotency_pb2_grpc as cache_grpc

from chassis.channel import Link
from chassis.deadline import Deadline

SERVICE_NAME = "spendgate.cache.v1.IdempotencyService"
TOKEN_BYTES = 16


class OnceStore(Protocol):
    """Raises what chassis.channel.Link.call raises."""

    async def claim(
        self, request: cache_pb.ClaimRequest, deadline: Deadline
    ) -> cache_pb.ClaimResponse:
        """Takes a key, or says what is known of it."""
        ...

    async def finish(self, request: cache_pb.FinishRequest, deadline: Deadline) -> bool:
        """Keeps what came of it, or gives the key back. False: it is somebody else's by now."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


class GrpcOnceStore:
    """OnceStore in the cache service, which every gateway shares."""

    def __init__(self, link: Link) -> None:
        """Takes a link to IdempotencyService."""
        self._link = link
        self._stub = link.stub(cache_grpc.IdempotencyServiceStub)

    async def claim(
        self, request: cache_pb.ClaimRequest, deadline: Deadline
    ) -> cache_pb.ClaimResponse:
        """See OnceStore, as for every method here."""
        response: cache_pb.ClaimResponse = await self._link.call(
            self._stub.Claim, request, deadline
        )
        return response

    async def finish(self, request: cache_pb.FinishRequest, deadline: Deadline) -> bool:
        """Keeps what came of it, or gives the key back."""
        response = await self._link.call(self._stub.Finish, request, deadline)
        return bool(response.kept)

    async def close(self) -> None:
        """Ends the link."""
        await self._link.close()


def new_token() -> str:
    """Names one attempt to work on a request."""
    return secrets.token_hex(TOKEN_BYTES)
