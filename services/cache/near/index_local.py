"""The index inside this process, for stores without vector sets: Valkey, managed Redis.

Which entries there are stands in the store (due.py); their vectors are made anew from the entries'
texts, at start and when another process has added some. Small partitions are scanned, which is
exact and faster than any index; large ones get an HNSW graph (usearch).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from services.cache import places
from services.cache.link import Link, rows, whole
from services.cache.near import due
from services.cache.near.index import Member, Near, Partition, Placed, Vector
from services.cache.near.shelf import Shelf

MEMBERS_MAX = 200_000
# How many entries' texts are read and embedded at a time while building.
BUILD_CHUNK = 256
SCOPES_A_BUILD = 1_000

# Members -> their vectors, None for those whose entry is gone or unreadable.
Vectors = Callable[[Sequence[Member]], Awaitable[list[Vector | None]]]


class LocalIndex:
    """The port over memory; at most `members_max` vectors, the partitions used least go first."""

    def __init__(
        self, link: Link, vectors: Vectors, *, dimensions: int, members_max: int = MEMBERS_MAX
    ) -> None:
        self._link = link
        self._vectors = vectors
        self._dimensions = dimensions
        self._members_max = members_max
        self._shelves: OrderedDict[Partition, Shelf] = OrderedDict()
        # Scope -> how many entries it had when it was last built.
        self._built: dict[str, int] = {}
        self.size = 0
        """Vectors held."""

    async def add(self, placed: Sequence[Placed]) -> None:
        """Notes them in the store, then keeps them."""
        for reply in await self._link.run(due.note(placed)):
            if isinstance(reply, Exception):
                raise reply
        for each in placed:
            await self._put(each.member, each.vector)

    async def nearest(
        self, asks: Sequence[tuple[Partition, Vector]], count: int
    ) -> list[list[Near]]:
        """No round trip. Work that can exceed 1 ms goes to a thread."""
        if any(len(self._shelves.get(partition, ())) > Shelf.SCAN_MAX for partition, _ in asks):
            return await asyncio.to_thread(self._search, list(asks), count)
        return self._search(asks, count)

    async def remove(self, members: Sequence[Member]) -> None:
        """Here and in the store."""
        for member in members:
            shelf = self._shelves.get(member.partition)
            if shelf is not None and member.key in shelf:
                shelf.remove(member.key)
                self.size -= 1
                if not len(shelf):
                    del self._shelves[member.partition]
        if members:
            await self._link.run(due.forget(members))

    async def sweep(self, now_ms: int) -> int:
        """Some scopes, some members each."""
        tags, members = await due.expired(self._link, now_ms)
        if not tags:
            return 0
        await self.remove(members)
        await due.plan_next(self._link, tags)
        return len(members)

    async def build(self) -> int:
        """Takes in what the store has and this process does not; how many. For the start, and
        now and then: other processes add too."""
        (reply,) = await self._link.run(
            [("ZRANGE", places.SWEEP, "-inf", "+inf", "BYSCORE", "LIMIT", 0, SCOPES_A_BUILD)]
        )
        taken = 0
        for raw in rows(reply):
            if isinstance(raw, bytes):
                taken += await self._build_scope(raw.decode())
        return taken

    async def _build_scope(self, tag: str) -> int:
        where = places.indexed(tag)
        (count,) = await self._link.run([("ZCARD", where)])
        held = sum(len(shelf) for key, shelf in self._shelves.items() if key.tag == tag)
        if whole(count) == held == self._built.get(tag):
            return 0
        taken = start = 0
        while self.size < self._members_max:
            (reply,) = await self._link.run([("ZRANGE", where, start, start + BUILD_CHUNK - 1)])
            raws = [raw for raw in rows(reply) if isinstance(raw, bytes)]
            if not raws:
                break
            missing = [m for m in (due.unpacked(tag, raw) for raw in raws) if not self._has(m)]
            came, gone = await self._take_in(missing)
            taken += came
            start += len(raws) - gone  # what is gone left its rank to those behind it
        self._built[tag] = sum(len(s) for key, s in self._shelves.items() if key.tag == tag)
        return taken

    async def _take_in(self, members: Sequence[Member]) -> tuple[int, int]:
        """How many were taken in, and how many are gone."""
        if not members:
            return 0, 0
        gone = []
        for member, vector in zip(members, await self._vectors(members), strict=True):
            if vector is None:
                gone.append(member)
            else:
                await self._put(member, vector)
        await self.remove(gone)
        return len(members) - len(gone), len(gone)

    def _has(self, member: Member) -> bool:
        shelf = self._shelves.get(member.partition)
        return shelf is not None and member.key in shelf

    async def _put(self, member: Member, vector: Vector) -> None:
        shelf = self._shelves.get(member.partition)
        if shelf is None:
            shelf = self._shelves[member.partition] = Shelf(self._dimensions)
        self._shelves.move_to_end(member.partition)
        self.size += member.key not in shelf
        if len(shelf) >= Shelf.SCAN_MAX:  # a graph is worked on
            await asyncio.to_thread(shelf.put, member.key, vector)
        else:
            shelf.put(member.key, vector)
        while self.size > self._members_max and len(self._shelves) > 1:
            _, dropped = self._shelves.popitem(last=False)
            self.size -= len(dropped)
        if self.size > self._members_max:
            shelf.remove(shelf.oldest())
            self.size -= 1

    def _search(self, asks: Sequence[tuple[Partition, Vector]], count: int) -> list[list[Near]]:
        found: list[list[Near]] = []
        for partition, vector in asks:
            shelf = self._shelves.get(partition)
            if shelf is None:
                found.append([])
                continue
            self._shelves.move_to_end(partition)
            found.append([Near(key, cosine) for key, cosine in shelf.nearest(vector, count)])
        return found
