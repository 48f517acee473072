"""Which entries a tenant has, read from listings: for invalidating them and for counting them."""

from collections.abc import AsyncIterator, Sequence

from spendgate.cache.v1 import cache_service_pb2 as pb

from services.cache import places
from services.cache.link import Command, Link, pairs, raised, rows, whole

SCOPES_MAX = 1_000
KEYS_A_PAGE = 500


def listed(
    scope: pb.Scope, tag: str, key: str, *, expire_ms: int, now_ms: int, idle_ms: int
) -> list[Command]:
    """Commands that put an entry into its scope's listing and the scope into its tenant's; both
    go by themselves after `idle_ms` without a new entry."""
    where = places.listing(tag)
    names = places.digest(scope.project).hex() + "/" + places.digest(scope.user).hex()
    tenants = places.scopes(scope.tenant)
    return [
        ("ZADD", where, expire_ms, bytes.fromhex(key)),
        ("ZREMRANGEBYSCORE", where, "-inf", now_ms),
        ("PEXPIRE", where, idle_ms),
        ("HSET", tenants, tag, names),
        ("PEXPIRE", tenants, idle_ms),
    ]


class Catalogue:
    """Scopes and keys of a tenant. Every method raises StoreUnavailable."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def scopes(self, tenant: str, project: str = "", user: str = "") -> list[str]:
        """Tags of the tenant's scopes, all or those of a project or user."""
        (reply,) = await self._link.run([("HGETALL", places.scopes(tenant))])
        wanted = (places.digest(project).hex(), places.digest(user).hex())
        found = []
        for tag, names in pairs(reply).items():
            has = names.decode().split("/") if isinstance(names, bytes) else ["", ""]
            if all(not want or want == had for want, had in zip(wanted, has, strict=False)):
                found.append(tag.decode())
        return sorted(found)

    async def keys(self, tag: str) -> AsyncIterator[list[str]]:
        """A scope's keys, page after page, each once. What is there all the while is never left
        out, whatever goes meanwhile."""
        cursor: object = 0
        seen: set[bytes] = set()
        while True:
            (reply,) = await self._link.run(
                [("ZSCAN", places.listing(tag), str(cursor), "COUNT", KEYS_A_PAGE)]
            )
            parts = rows(raised(reply))
            if len(parts) != 2:
                return
            cursor = int(parts[0]) if isinstance(parts[0], int | bytes) else 0
            page = [key for key in _members(parts[1]) if key not in seen]
            # Redis may name a key twice while its table changes size.
            seen.update(page)
            if page:
                yield [key.hex() for key in page]
            if cursor == 0:
                return

    async def count(self, tags: Sequence[str], now_ms: int) -> int:
        """Entries in these scopes that have not lapsed."""
        commands: list[Command] = [
            ("ZCOUNT", places.listing(tag), f"({now_ms}", "+inf") for tag in tags
        ]
        return sum(whole(reply) for reply in await self._link.run(commands)) if commands else 0


def _members(reply: object) -> list[bytes]:
    """The members of a list of pairs."""
    found = (pair[0] if isinstance(pair, list | tuple) else pair for pair in rows(reply))
    return [key for key in found if isinstance(key, bytes)]
