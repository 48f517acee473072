"""Texts as vectors, for rooms that compare texts and have no models of their own."""

from collections.abc import Sequence

from spendgate.cache.v1 import cache_service_pb2 as pb

from chassis.deadline import Deadline
from services.cache.errors import ModelsUnavailable
from services.cache.near.embedder import Embedder


class Embed:
    """Embeds, once the semantic half is open."""

    def __init__(self) -> None:
        # Set when the models are loaded.
        self.embedder: Embedder | None = None

    async def run(self, texts: Sequence[str], deadline: Deadline) -> pb.EmbedResponse:
        """A unit vector a text. Raises: ModelsUnavailable; what Embedder.embed raises."""
        if self.embedder is None:
            raise ModelsUnavailable
        vectors = await self.embedder.embed(texts, deadline)
        return pb.EmbedResponse(
            vectors=[pb.TextVector(values=vector.tolist()) for vector in vectors],
            model=self.embedder.model_version,
        )
