"""What one user may put before others: a bounded number of entries, and none alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from spendgate.cache.v1 import cache_service_pb2 as pb

from services.cache import places
from services.cache.fingerprint import scope_tag
from services.cache.link import Command, Link, whole
from services.cache.reading import Reader
from services.cache.store import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known before an item is kept: whether its user has too many entries, and which
    users brought the entry before."""

    full: bool = False
    users: tuple[bytes, ...] = ()
    open: bool = False


class Quota:
    """At most `entries_max` entries a user in a scope at a time (0: no limit).

    `reader` reads what is kept already where users count; None: they do not.
    """

    def __init__(self, link: Link, *, entries_max: int, reader: Reader | None = None) -> None:
        self._link = link
        self.entries_max = entries_max
        self._reader = reader

    async def standings(self, items: Sequence[pb.StoreItem], now_ms: int) -> list[Standing]:
        """One an item. Raises StoreUnavailable."""
        full = await self._full(items, now_ms)
        if self._reader is None:
            return [Standing(each) for each in full]
        where = [places.entry(_tag(item.scope), item.key) for item in items]
        kept = await self._reader.read(where)
        found = []
        for place, is_full in zip(where, full, strict=True):
            entry = kept[place].entry if place in kept else None
            if entry is None:
                found.append(Standing(is_full))
            else:
                found.append(Standing(is_full, tuple(entry.users), entry.open))
        return found

    def noted(self, tag: str, item: pb.StoreItem, expire_ms: int, idle_ms: int) -> list[Command]:
        """Commands that count an entry to its user."""
        if not self.entries_max or not item.user:
            return []
        where = places.quota(tag, item.user)
        return [
            ("ZADD", where, expire_ms, bytes.fromhex(item.key)),
            ("PEXPIRE", where, idle_ms),
        ]

    async def _full(self, items: Sequence[pb.StoreItem], now_ms: int) -> list[bool]:
        commands: list[Command] = []
        for item in items:
            if self.entries_max and item.user:
                where = places.quota(_tag(item.scope), item.user)
                commands += [
                    ("ZREMRANGEBYSCORE", where, "-inf", now_ms),
                    ("ZCARD", where),
                    ("ZSCORE", where, bytes.fromhex(item.key)),
                ]
        if not commands:
            return [False] * len(items)
        replies = await self._link.run(commands)
        found = []
        start = 0
        for item in items:
            if not item.user:
                found.append(False)
                continue
            count, has = whole(replies[start + 1]), replies[start + 2]
            is_new = has is None or isinstance(has, StoreUnavailable)
            found.append(is_new and count >= self.entries_max)
            start += 3
        return found


def _tag(scope: pb.Scope) -> str:
    return scope_tag(scope.tenant, scope.project, scope.user)
