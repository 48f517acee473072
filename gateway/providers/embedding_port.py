"""The port to a provider of embeddings, apart from the one of answers: not every adapter has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import embed_pb2

from chassis.deadline import Deadline


@dataclass(frozen=True, slots=True)
class EmbeddingCall:
    """One try to get vectors. `model` is the provider's own name of the model."""

    model: str
    # At least 1.
    inputs: Sequence[embed_pb2.EmbedInput]
    # Numbers a vector is to have. None: the model's own.
    dimensions: int | None
    # JSON object of further options, "" for none.
    extra_json: str


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """One vector an input, in order: IEEE 754 binary32, little-endian, all of one length."""

    vectors: Sequence[bytes]
    # None: the provider told none, or numbers that cannot be; then count.
    usage: chat_pb2.TokenUsage | None
    # What the provider says it was. "" when it says nothing.
    response_model: str
    warnings: tuple[str, ...] = ()


class EmbeddingProvider(Protocol):
    """Calls one provider. An implementation must not retry, follow redirects or log content."""

    async def embed(self, call: EmbeddingCall, deadline: Deadline) -> EmbeddingAnswer:
        """All vectors or none.

        Raises: ProviderRefused, ProviderUnavailable (port.py). When cancelled it must close its
        connection.
        """
        ...
