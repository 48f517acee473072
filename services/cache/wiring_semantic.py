"""Puts the semantic half together: models take seconds to load, and nobody waits for them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from chassis.health import Part
from services.cache import places
from services.cache.link import Link
from services.cache.lookup import Semantic
from services.cache.near.calibrating import Lines
from services.cache.near.decisions import Calibrator, Decisions
from services.cache.near.embedder import Embedder
from services.cache.near.index import Member, NeighbourIndex, Vector
from services.cache.near.index_local import LocalIndex
from services.cache.near.index_redis import VectorSets
from services.cache.near.search import Search
from services.cache.reading import Reader
from services.cache.semantic.judge import SCREEN_DIMENSIONS, Judge, load_judge
from services.cache.servicer import Verbs
from services.cache.settings import CacheSettings, IndexKind
from services.cache.store import StoreUnavailable

_log = logging.getLogger("spendgate.cache.semantic")

PROBE_SECONDS = 0.5
SWEEP_SECONDS = 1.0
SWEEPS_MAX = 20
# The local index takes in what other processes have added this often.
BUILD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """Models, ready."""

    judge: Judge
    calibrator: Calibrator


def load_shipped(threads: int) -> Loaded:
    """The models that come with the project. Blocking. Raises ImportError where what runs them is
    not installed."""
    return Loaded(load_judge(threads), Lines())


@dataclass(slots=True)
class Loading:
    """What the semantic half is made of, and what it holds once it is open."""

    settings: CacheSettings
    verbs: Verbs
    quick: Link
    patient: Link
    load: Callable[[int], Loaded]
    now_ms: Callable[[], int]
    search: Search | None = None
    embedder: Embedder | None = None
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def close(self) -> None:
        """Ends what was opened."""
        for task in self.tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self.search is not None:
            await self.search.close()
        if self.embedder is not None:
            await self.embedder.close()


async def open_semantic(loading: Loading, part: Part) -> None:
    """Loads models, finds out which index the store can be, and turns semantic look-ups on."""
    part.degraded("models are loading; only the very same prompt is served")
    try:
        loaded = await asyncio.to_thread(loading.load, loading.settings.semantic_threads)
    except ImportError:
        part.degraded("models are not installed; only the very same prompt is served")
        return
    except Exception as error:
        # The type only: its text may hold a path.
        part.degraded(f"models did not load ({type(error).__name__})")
        return
    part.degraded("Redis has not answered yet; only the very same prompt is served")
    embedder = loading.embedder = Embedder(loaded.judge, threads=loading.settings.semantic_threads)
    loading.verbs.embed.embedder = embedder
    reader = loading.verbs.lookup.reader
    index = await _index(loading, embedder, reader)
    search = loading.search = Search(index, embedder, reader)
    decisions = Decisions(loading.quick, loaded.calibrator, clock=time.monotonic)
    if isinstance(index, LocalIndex):
        loading.tasks.append(asyncio.create_task(_build(index)))
    loading.tasks.append(asyncio.create_task(_sweep(index, loading.now_ms)))
    loading.verbs.keep.search = search
    loading.verbs.invalidate.search = search
    loading.verbs.report.decisions = decisions
    loading.verbs.lookup.semantic = Semantic(search, decisions)
    part.ok()


async def _index(loading: Loading, embedder: Embedder, reader: Reader) -> NeighbourIndex:
    kind = loading.settings.semantic_index
    if kind is IndexKind.AUTO:
        kind = await _probed(loading.patient)
    _log.info("index", extra={"kind": kind.value})
    if kind is IndexKind.VECTOR_SETS:
        return VectorSets(loading.quick, model=embedder.model_version)

    async def vectors(members: Sequence[Member]) -> list[Vector | None]:
        return await screens_of(members, reader, embedder)

    return LocalIndex(
        loading.patient,
        vectors,
        dimensions=SCREEN_DIMENSIONS,
        members_max=loading.settings.local_index_members_max,
    )


async def screens_of(
    members: Sequence[Member], reader: Reader, embedder: Embedder
) -> list[Vector | None]:
    """The vectors of entries, made anew from their texts. Raises StoreUnavailable."""
    wanted = [places.entry(member.partition.tag, member.key) for member in members]
    kept = await reader.read(wanted)
    texts = {
        place: each.entry.semantic.text
        for place, each in kept.items()
        if each.entry.vector_model == embedder.model_version
    }
    made = dict(zip(texts, await embedder.screen(list(texts.values())), strict=True))
    return [np.asarray(made[place]) if place in made else None for place in wanted]


async def _probed(link: Link) -> IndexKind:
    """Vector sets where the server knows them; asks until it answers."""
    while True:
        with contextlib.suppress(StoreUnavailable):
            # Of a set that is not there: an error only where the command is unknown.
            (reply,) = await link.run([("VCARD", places.PROBE)])
            unknown = isinstance(reply, StoreUnavailable)
            return IndexKind.LOCAL if unknown else IndexKind.VECTOR_SETS
        await asyncio.sleep(PROBE_SECONDS)


async def _sweep(index: NeighbourIndex, now_ms: Callable[[], int]) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        with contextlib.suppress(StoreUnavailable):
            for _ in range(SWEEPS_MAX):
                if not await index.sweep(now_ms()):
                    break


async def _build(index: LocalIndex) -> None:
    while True:
        with contextlib.suppress(StoreUnavailable):
            await index.build()
        await asyncio.sleep(BUILD_SECONDS)
