"""The port to whatever keeps answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class StoreUnavailable(Exception):
    """The store did not do it: away, too slow, full, or refusing. `why` is a type's name."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Entry:
    """A value to keep at a place for `ttl_ms` milliseconds, at least 1.

    `beside` are commands that go with it in the same round trip, such as its line in a listing;
    a store that has no listings leaves them out.
    """

    place: str
    value: bytes
    ttl_ms: int
    beside: tuple[tuple[str | bytes | int | float, ...], ...] = ()


class AnswerStore(Protocol):
    """Keeps bytes at places for a time. Places are partitions' own: no call reads across them.

    Every implementation passes tests/conformance/cache_store/.
    """

    async def get_many(self, places: Sequence[str]) -> list[bytes | None]:
        """The values at `places`, in their order; None where nothing is kept or time is up.

        Must take one round trip. Must raise StoreUnavailable, and nothing else, when the store
        did not answer: it must never answer None for what it could not ask.
        """

    async def put_many(self, entries: Sequence[Entry]) -> list[StoreUnavailable | None]:
        """Keeps each entry, over what was at its place; one outcome each, None when kept.

        Must take one round trip. One entry that is refused must not fail its neighbours. Must
        raise StoreUnavailable when the store did not answer at all.
        """

    async def remove_many(self, places: Sequence[str]) -> None:
        """Drops what is at `places`. Nothing there is no error. Raises StoreUnavailable."""

    async def ping(self) -> None:
        """Returns when the store answers. Raises StoreUnavailable."""

    async def close(self) -> None:
        """Lets go of connections. Must be safe to call twice."""
