"""Answers in Redis: plain strings with a time to live."""

from collections.abc import Sequence

from services.cache import places
from services.cache.link import Command
from services.cache.link_redis import ClusterLink, RedisLink
from services.cache.store import Entry, StoreUnavailable


class RedisStore:
    """The port over a link to Redis (8 or newer) or Valkey."""

    def __init__(self, link: RedisLink | ClusterLink) -> None:
        self._link = link

    async def get_many(self, places: Sequence[str]) -> list[bytes | None]:
        """One MGET; on a cluster one pipeline a node."""
        return [_value(reply) for reply in await self._link.get_many(places)]

    async def put_many(self, entries: Sequence[Entry]) -> list[StoreUnavailable | None]:
        """One pipeline of SETs and of what goes with them."""
        commands: list[Command] = []
        heads = []
        for entry in entries:
            heads.append(len(commands))
            commands.append(("SET", entry.place, entry.value, "PX", entry.ttl_ms))
            commands += entry.beside
        replies = await self._link.run(commands)
        return [
            reply if isinstance(reply := replies[head], StoreUnavailable) else None
            for head in heads
        ]

    async def remove_many(self, places: Sequence[str]) -> None:
        """One pipeline of UNLINKs."""
        await self._link.run([("UNLINK", place) for place in places])

    async def ping(self) -> None:
        """One reply from Redis, about a key that is not there."""
        (reply,) = await self._link.run([("EXISTS", places.PROBE)])
        if isinstance(reply, StoreUnavailable):
            raise reply

    async def close(self) -> None:
        """Closes every connection."""
        await self._link.close()


def _value(reply: object) -> bytes | None:
    if isinstance(reply, StoreUnavailable):
        # A place that holds something else than a value holds nothing; a node that is away is
        # not asked again by the breaker's leave, and for this one place it is the same.
        return None
    return reply if isinstance(reply, bytes) else None
