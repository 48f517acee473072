"""The index in Redis 8 vector sets: one set a scope and context, 8 bits a dimension.

Filtering by expiry starves when few members are live, so expired ones are swept instead; scopes
and contexts are keys, never filters.
"""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from services.cache import places
from services.cache.link import Command, Link, pairs, raised, whole
from services.cache.near import due
from services.cache.near.index import Member, Near, Partition, Placed, Vector
from services.cache.store import StoreUnavailable

# Up to here a search is short enough to do on Redis' own thread, which saves the hand-over.
THREADLESS_MEMBERS_MAX = 10_000
SIZES_KNOWN_MAX = 10_000


class VectorSets:
    """The port over vector sets. `model` names the vectors' maker."""

    def __init__(self, link: Link, *, model: str) -> None:
        self._link = link
        self._model = model
        self._sizes: OrderedDict[str, int] = OrderedDict()

    async def add(self, placed: Sequence[Placed]) -> None:
        """One pipeline of VADDs. Raises StoreUnavailable also for a single refusal."""
        commands: list[Command] = []
        for each in placed:
            where = self._place(each.member.partition)
            raw = bytes.fromhex(each.member.key)
            commands.append(("VADD", where, "FP32", _bytes(each.vector), raw, "Q8"))
            commands.append(("PEXPIRE", where, due.IDLE_MS))
        for reply in await self._link.run([*commands, *due.note(placed)]):
            raised(reply)

    async def nearest(
        self, asks: Sequence[tuple[Partition, Vector]], count: int
    ) -> list[list[Near]]:
        """One pipeline of VSIMs."""
        commands: list[Command] = []
        for partition, vector in asks:
            where = self._place(partition)
            search: Command = ("VSIM", where, "FP32", _bytes(vector), "WITHSCORES", "COUNT", count)
            if self._sizes.get(where, 0) <= THREADLESS_MEMBERS_MAX:
                search = (*search, "NOTHREAD")
            commands += [search, ("VCARD", where)]
        replies = await self._link.run(commands)
        found = []
        for place, (partition, _) in enumerate(asks):
            self._remember(self._place(partition), whole(replies[2 * place + 1]))
            found.append(_nearest(replies[2 * place]))
        return found

    async def remove(self, members: Sequence[Member]) -> None:
        """One pipeline of VREMs."""
        if members:
            await self._link.run([*self._removals(members), *due.forget(members)])

    async def sweep(self, now_ms: int) -> int:
        """Some scopes, some members each."""
        tags, members = await due.expired(self._link, now_ms)
        if not tags:
            return 0
        await self.remove(members)
        await due.plan_next(self._link, tags)
        return len(members)

    def _removals(self, members: Sequence[Member]) -> list[Command]:
        return [("VREM", self._place(each.partition), bytes.fromhex(each.key)) for each in members]

    def _place(self, partition: Partition) -> str:
        return places.vectors(partition.tag, partition.context, self._model)

    def _remember(self, where: str, size: int) -> None:
        self._sizes[where] = size
        self._sizes.move_to_end(where)
        if len(self._sizes) > SIZES_KNOWN_MAX:
            self._sizes.popitem(last=False)


def _bytes(vector: Vector) -> bytes:
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def _nearest(reply: object) -> list[Near]:
    if isinstance(reply, StoreUnavailable):
        # A key that holds something else, or a command this server does not know.
        raise reply
    # Redis tells (1 + cosine) / 2.
    found = [
        Near(key.hex(), 2.0 * score - 1.0)
        for key, score in pairs(reply).items()
        if isinstance(score, float) and len(key) == places.KEY_BYTES
    ]
    return sorted(found, key=lambda near: (-near.similarity, near.key))
