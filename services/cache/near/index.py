"""The port to a nearest-neighbour index, partitioned by scope and context."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

NEAREST_MAX = 16


@dataclass(frozen=True, slots=True)
class Partition:
    """Vectors of one scope, context and model. Nothing is ever found across partitions."""

    tag: str
    context: str


@dataclass(frozen=True, slots=True)
class Member:
    """An entry in a partition, by its key: 64 hex digits."""

    partition: Partition
    key: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A member with its unit vector, until `expire_ms` since 1970."""

    member: Member
    vector: Vector
    expire_ms: int


@dataclass(frozen=True, slots=True)
class Near:
    """A neighbour's key and its cosine, -1 to 1, as exact as the index is."""

    key: str
    similarity: float


class NeighbourIndex(Protocol):
    """Finds what is near. Every implementation passes tests/conformance/cache_index/.

    Every method must raise StoreUnavailable, and nothing else, when it could not do its work.
    """

    async def add(self, placed: Sequence[Placed]) -> None:
        """Keeps vectors, over what their members had before. At most one round trip."""

    async def nearest(
        self, asks: Sequence[tuple[Partition, Vector]], count: int
    ) -> list[list[Near]]:
        """The nearest members of each ask's own partition, nearest first, at most `count`.

        Expired members may be among them until they are swept. At most one round trip.
        """

    async def remove(self, members: Sequence[Member]) -> None:
        """Drops members. One that is not there is no error."""

    async def sweep(self, now_ms: int) -> int:
        """Drops some of what has expired by `now_ms`; how many. Bounded work a call: who gets
        more than 0 calls again."""
