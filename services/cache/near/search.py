"""Finds answers to prompts that ask for the same in other words, and says why or why not.

The order: a cheap screen finds what could be near; only then are embeddings made, for the query
and the few it could match; then the judge: cosine floor, guards, verifier. Whatever fails or takes
too long is a miss.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from spendgate.cache.v1 import cache_service_pb2 as pb

from chassis.coalesce import CoalescerClosed, QueueFull
from chassis.deadline import Deadline, DeadlinePassed
from services.cache import places
from services.cache.near.embedder import Embedder
from services.cache.near.index import Member, Near, NeighbourIndex, Partition, Placed, Vector
from services.cache.reading import Reader
from services.cache.semantic.decide import Decision
from services.cache.semantic.judge import Candidate, Verdict
from services.cache.store import StoreUnavailable
from services.cache.value import Kept

_log = logging.getLogger("spendgate.cache.near")

# Measured with the screen's vectors: so many nearest hold nearly all that the encoder would find.
CANDIDATES_MAX = 5
# Below it nothing is read from the store. The judge has the last word on what is near enough.
SCREEN_MIN = 0.7
# The nearest by the encoder's word are judged, no more: the verifier is the dear part.
JUDGED_MAX = 3


@dataclass(frozen=True, slots=True)
class NearAsk:
    """A prompt that the very same look-up missed."""

    partition: Partition
    key: str
    text: str
    user: str
    decision: Decision
    deadline: Deadline
    vector_wanted: bool = False
    explain: bool = False


@dataclass(slots=True)
class NearFound:
    """What the search came to. No `hit`: a miss."""

    hit: Kept | None = None
    key: str = ""
    entry_key: str = ""
    similarity: float = 0.0
    p_same: float | None = None
    features: Sequence[float] = ()
    explanation: pb.Explanation = field(default_factory=pb.Explanation)
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class _Neighbour:
    key: str
    kept: Kept
    screen: float

    @property
    def text(self) -> str:
        return self.kept.entry.semantic.text


class Search:
    """The semantic half of a look-up."""

    def __init__(self, index: NeighbourIndex, embedder: Embedder, reader: Reader) -> None:
        self._index = index
        self._embedder = embedder
        self._reader = reader
        self._removals: set[asyncio.Task[None]] = set()

    @property
    def embedder(self) -> Embedder:
        """What makes the vectors."""
        return self._embedder

    @property
    def model_version(self) -> str:
        """The model whose vectors these are."""
        return self._embedder.model_version

    async def find(self, asks: Sequence[NearAsk]) -> list[NearFound]:
        """What was found for each, in order. Never raises for the store or the judge."""
        try:
            screens = await self._embedder.screen([ask.text for ask in asks])
            near = await self._index.nearest(
                [(ask.partition, screen) for ask, screen in zip(asks, screens, strict=True)],
                CANDIDATES_MAX,
            )
            neighbours = await self._worth(asks, await self._read(asks, near))
        except StoreUnavailable:
            return [NearFound(explanation=pb.Explanation(skipped="store")) for _ in asks]
        except Exception as error:
            _log.error("the screen failed", extra={"error_type": type(error).__name__})
            return [NearFound(explanation=pb.Explanation(skipped="failed")) for _ in asks]
        return list(
            await asyncio.gather(
                *(self._in_time(ask, found) for ask, found in zip(asks, neighbours, strict=True))
            )
        )

    async def place(self, items: Sequence[tuple[Member, str, int]]) -> None:
        """Puts entries (member, text, expiry in ms) where similar prompts find them.

        Raises StoreUnavailable.
        """
        if not items:
            return
        vectors = await self._embedder.screen([text for _, text, _ in items])
        await self._index.add(
            [
                Placed(member, vector, expire_ms)
                for (member, _, expire_ms), vector in zip(items, vectors, strict=True)
            ]
        )

    async def remove(self, members: Sequence[Member]) -> None:
        """Takes entries away. Raises StoreUnavailable."""
        await self._index.remove(members)

    async def close(self) -> None:
        """Waits for removals under way."""
        await asyncio.gather(*self._removals, return_exceptions=True)

    async def _read(
        self, asks: Sequence[NearAsk], near: Sequence[Sequence[Near]]
    ) -> list[list[_Neighbour]]:
        """The entries behind the neighbours; those that are gone leave the index."""
        wanted: dict[str, tuple[NearAsk, str]] = {}
        for ask, found in zip(asks, near, strict=True):
            for each in found:
                # The very same prompt was looked up before; if it is here it has lapsed.
                if each.similarity >= SCREEN_MIN and each.key != ask.key:
                    wanted[places.entry(ask.partition.tag, each.key)] = (ask, each.key)
        kept = await self._reader.read(wanted)
        gone = [
            Member(ask.partition, key)
            for place, (ask, key) in wanted.items()
            if not self._fits(kept.get(place), ask)
        ]
        if gone:
            self._remove_soon(gone)
        lost = {(member.partition, member.key) for member in gone}
        return [
            [
                _Neighbour(
                    each.key, kept[places.entry(ask.partition.tag, each.key)], each.similarity
                )
                for each in found
                if each.similarity >= SCREEN_MIN
                and each.key != ask.key
                and (ask.partition, each.key) not in lost
            ]
            for ask, found in zip(asks, near, strict=True)
        ]

    async def _worth(
        self, asks: Sequence[NearAsk], neighbours: Sequence[list[_Neighbour]]
    ) -> list[list[_Neighbour]]:
        """Of each ask's neighbours those that may come to a hit, for most there are none and
        nothing is embedded. Who wants an explanation pays for all of them."""
        pairs = [
            (ask.text, [Candidate(each.text, each.screen) for each in found])
            for ask, found in zip(asks, neighbours, strict=True)
        ]
        kept = await self._embedder.worth(pairs)
        return [
            found if ask.explain else [found[place] for place in places_kept]
            for ask, found, places_kept in zip(asks, neighbours, kept, strict=True)
        ]

    def _fits(self, kept: Kept | None, ask: NearAsk) -> bool:
        """Whether an entry is what the index says: the same context by the same model."""
        return (
            kept is not None
            and kept.entry.vector_model == self._embedder.model_version
            and kept.entry.semantic.context == ask.partition.context
        )

    async def _in_time(self, ask: NearAsk, neighbours: list[_Neighbour]) -> NearFound:
        found = NearFound(key=ask.key)
        found.explanation.similarity_min = ask.decision.similarity_min
        found.explanation.stricter = ask.decision.stricter
        found.explanation.decision = name_of(ask.decision)
        found.explanation.screened_out = not neighbours
        try:
            async with asyncio.timeout(max(0.0, ask.deadline.left_seconds())):
                await self._judge(ask, neighbours, found)
        except (TimeoutError, DeadlinePassed):
            found.explanation.skipped = "late"
            found.hit = None
        except (QueueFull, CoalescerClosed):
            found.explanation.skipped = "busy"
            found.hit = None
        except Exception as error:
            # The judge's own failure is never the request's.
            _log.error("the judge failed", extra={"error_type": type(error).__name__})
            found.explanation.skipped = "failed"
            found.hit = None
        return found

    async def _judge(self, ask: NearAsk, neighbours: list[_Neighbour], found: NearFound) -> None:
        if not neighbours and not ask.vector_wanted:
            return
        texts = [each.text for each in neighbours]
        vector, *others = await self._embedder.embed([ask.text, *texts], ask.deadline)
        found.vector = vector
        ranked = sorted(
            (
                (float(np.dot(vector, other)), each)
                for other, each in zip(others, neighbours, strict=True)
            ),
            key=lambda pair: (-pair[0], pair[1].key),
        )
        open_ones = [pair for pair in ranked if may_have(pair[1].kept, ask.user)]
        judged = open_ones[:JUDGED_MAX]
        verdicts: list[Verdict] = []
        if judged:
            candidates = [Candidate(each.text, similarity) for similarity, each in judged]
            verdicts = await self._embedder.judge(ask.text, candidates, ask.decision, ask.deadline)
        told = {each.key: v for (_, each), v in zip(judged, verdicts, strict=True)}
        for similarity, each in ranked:
            found.explanation.candidates.append(
                _seen(each.key, similarity, told.get(each.key), may_have(each.kept, ask.user))
            )
        for (similarity, each), verdict in zip(judged, verdicts, strict=True):
            if verdict.accept:
                found.hit, found.entry_key = each.kept, each.key
                found.similarity, found.p_same = similarity, verdict.p_same
                found.features = verdict.features or ()
                return

    def _remove_soon(self, members: list[Member]) -> None:
        """Off the caller's path; what is not removed now is when it is found again."""

        async def work() -> None:
            try:
                await self._index.remove(members)
            except StoreUnavailable as error:
                _log.warning("members were not removed", extra={"why": error.why})

        task = asyncio.create_task(work())
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)


def name_of(decision: Decision) -> str:
    """Where a decision comes from, in a word."""
    if decision.closed:
        return "closed"
    return "default" if decision.learned is None else "learned"


def may_have(kept: Kept, user: str) -> bool:
    """Whether this user may have the entry: it is everybody's, or the user brought it."""
    return kept.entry.open or (bool(user) and places.digest(user) in kept.entry.users)


def _seen(key: str, similarity: float, verdict: Verdict | None, allowed: bool) -> pb.SeenCandidate:
    seen = pb.SeenCandidate(entry_key=key, similarity=similarity)
    if not allowed:
        seen.refused_by = "withheld"
    elif verdict is None:
        seen.refused_by = "not_nearest"
    else:
        if verdict.p_same is not None:
            seen.p_same = verdict.p_same
        seen.refused_by = "" if verdict.accept else verdict.refused_by or "refused"
    return seen
