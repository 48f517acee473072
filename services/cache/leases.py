"""One caller at a time gets an answer; its death frees the others within its lease."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.cache import places
from services.cache.link import Command, Link
from services.cache.store import StoreUnavailable

LEASE_MS_MAX = 60_000
# Whoever lost a lease must not touch its successor's.
_MINE = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
_RENEW = _MINE + "return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_RELEASE = _MINE + "return redis.call('DEL', KEYS[1])"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lease on a key of a scope, for the holder of `token`; 0 ms gives it back."""

    tag: str
    key: str
    token: str
    lease_ms: int


class Leases:
    """Leases in Redis. Every method raises StoreUnavailable."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def acquire(self, wanted: Sequence[Wanted]) -> list[bool]:
        """Whether each was free and is now the token's. What Redis refuses is taken as got: a
        full store must keep nobody waiting."""
        replies = await self._link.run(
            [
                ("SET", places.lease(each.tag, each.key), each.token, "NX", "PX", each.lease_ms)
                for each in wanted
            ]
        )
        return [reply is not None and reply is not False for reply in replies]

    async def renew(self, wanted: Sequence[Wanted]) -> list[bool]:
        """Whether each was still the token's, and is renewed or given back."""
        replies = await self._link.run([renewal(each) for each in wanted])
        return [reply == 1 for reply in replies]

    async def held(self, tag: str, key: str) -> bool:
        """Whether anybody holds it."""
        (reply,) = await self._link.run([("EXISTS", places.lease(tag, key))])
        if isinstance(reply, StoreUnavailable):
            raise reply
        return reply == 1


def renewal(wanted: Wanted) -> Command:
    """The command that renews a lease, or gives it back."""
    where = places.lease(wanted.tag, wanted.key)
    if wanted.lease_ms == 0:
        return ("EVAL", _RELEASE, 1, where, wanted.token)
    return ("EVAL", _RENEW, 1, where, wanted.token, wanted.lease_ms)
