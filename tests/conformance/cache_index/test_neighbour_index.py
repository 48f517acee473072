"""What every nearest-neighbour index must do (services/cache/near/index.py)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.embedded.redis import RedisServer
from services.cache.link_redis import RedisLink
from services.cache.near.index import Member, Near, NeighbourIndex, Partition, Placed, Vector
from services.cache.near.index_local import LocalIndex
from services.cache.near.index_redis import VectorSets
from services.cache.near.shelf import Shelf
from services.cache.store import StoreUnavailable
from tests.fakes.valkey import valkey_url

SIZE = 256
HERE = Partition("tag-a", "a" * 64)
LATER_MS = 10**13


def unit(seed: int) -> Vector:
    vector = np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)
    return vector / np.linalg.norm(vector)


def close_to(vector: Vector, cosine: float, seed: int) -> Vector:
    """A unit vector at this cosine of another."""
    other = unit(1_000_000 + seed)
    other -= vector * float(other @ vector)
    other /= np.linalg.norm(other)
    return (cosine * vector + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def key(number: int) -> str:
    return f"{number:064x}"


def placed(number: int, vector: Vector, where: Partition = HERE, expire_ms: int = LATER_MS) -> Any:
    return Placed(Member(where, key(number)), vector, expire_ms)


class Stored:
    """The vectors that a local index makes anew: here they are looked up."""

    def __init__(self) -> None:
        self.vectors: dict[Member, Vector] = {}

    async def __call__(self, members: Sequence[Member]) -> list[Vector | None]:
        return [self.vectors.get(member) for member in members]


KINDS = ["vector sets", "local on redis", "local on valkey"]


@pytest.fixture(params=KINDS)
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NeighbourIndex]:
    async with AsyncExitStack() as stack:
        if request.param == "local on valkey":
            url = stack.enter_context(valkey_url(tmp_path / "valkey"))
        else:
            url = (await stack.enter_async_context(RedisServer(tmp_path / "redis"))).url
        link = RedisLink(url, connect_seconds_max=5)
        stack.push_async_callback(link.close)
        if request.param == "vector sets":
            yield VectorSets(link, model="m/1")
        else:
            yield LocalIndex(link, Stored(), dimensions=SIZE)


async def test_the_nearest_come_first(index: NeighbourIndex) -> None:
    """Neighbours come by falling cosine, as many as asked for, each with its cosine."""
    query = unit(1)
    cosines = {1: 0.95, 2: 0.9, 3: 0.5, 4: 0.1}
    await index.add([placed(n, close_to(query, c, 100 + n)) for n, c in cosines.items()])
    (found,) = await index.nearest([(HERE, query)], 3)
    assert [near.key for near in found] == [key(1), key(2), key(3)]
    for near, cosine in zip(found, (0.95, 0.9, 0.5), strict=True):
        assert near.similarity == pytest.approx(cosine, abs=0.02)


async def test_partitions_do_not_see_one_another(index: NeighbourIndex) -> None:
    """The same vector in another scope, or another context, is not found."""
    query = unit(2)
    others = [Partition("tag-b", "a" * 64), Partition("tag-a", "b" * 64)]
    await index.add([placed(1, query, where) for where in others])
    found = await index.nearest([(HERE, query), *((where, query) for where in others)], 5)
    assert [[near.key for near in each] for each in found] == [[], [key(1)], [key(1)]]


async def test_nothing_is_found_in_nothing(index: NeighbourIndex) -> None:
    """A partition nobody put anything into answers with no neighbours."""
    assert await index.nearest([(HERE, unit(3))], 5) == [[]]


async def test_removed_is_gone(index: NeighbourIndex) -> None:
    """What is removed is not found; removing what is not there is no error."""
    query = unit(4)
    await index.add([placed(1, query), placed(2, close_to(query, 0.9, 9))])
    await index.remove([Member(HERE, key(1)), Member(HERE, key(77))])
    (found,) = await index.nearest([(HERE, query)], 5)
    assert [near.key for near in found] == [key(2)]
    await index.remove([Member(HERE, key(2))])
    assert await index.nearest([(HERE, query)], 5) == [[]]


async def test_a_member_added_again_moves(index: NeighbourIndex) -> None:
    """The newest vector of a member is the one that counts, and it stands there once."""
    first, second = unit(5), unit(6)
    await index.add([placed(1, first)])
    await index.add([placed(1, second)])
    (found,) = await index.nearest([(HERE, second)], 5)
    assert [near.key for near in found] == [key(1)]
    assert found[0].similarity == pytest.approx(1.0, abs=0.02)


async def test_expired_members_are_swept(index: NeighbourIndex) -> None:
    """A sweep drops what has expired and leaves what has not; sweeping again finds nothing."""
    query = unit(7)
    await index.add([placed(n, close_to(query, 0.9, n), expire_ms=1_000) for n in range(1, 40)])
    await index.add([placed(99, close_to(query, 0.8, 99))])
    swept = 0
    while count := await index.sweep(2_000):
        swept += count
    assert swept == 39
    (found,) = await index.nearest([(HERE, query)], 16)
    assert [near.key for near in found] == [key(99)]


async def test_many_members_are_found_too(index: NeighbourIndex) -> None:
    """Past the size at which a graph takes over from a scan, near neighbours are still found."""
    count = Shelf.SCAN_MAX + 500
    vectors = [unit(1_000 + n) for n in range(count)]
    for start in range(0, count, 500):
        await index.add([placed(n, vectors[n]) for n in range(start, min(count, start + 500))])
    wanted = range(0, count, 97)
    asks = [(HERE, close_to(vectors[n], 0.9, 5)) for n in wanted]
    found = await index.nearest(asks, 1)
    right = sum(
        near[:1] != [] and near[0].key == key(n) for n, near in zip(wanted, found, strict=True)
    )
    assert right >= 0.95 * len(asks)


async def test_a_store_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """Vector sets raise StoreUnavailable when Redis does not answer: it is never "nothing near"."""
    async with RedisServer(tmp_path / "redis") as server:
        link = RedisLink(server.url, connect_seconds_max=5)
        index = VectorSets(link, model="m/1")
        await index.add([placed(1, unit(1))])
        await server.kill()
        with pytest.raises(StoreUnavailable):
            await index.nearest([(HERE, unit(1))], 1)
        with pytest.raises(StoreUnavailable):
            await index.add([placed(2, unit(2))])
        await link.close()


async def test_vectors_of_another_model_are_not_met(tmp_path: Path) -> None:
    """Each model has sets of its own: numbers of two models mean nothing to one another."""
    async with RedisServer(tmp_path / "redis") as server:
        link = RedisLink(server.url, connect_seconds_max=5)
        await VectorSets(link, model="m/1").add([placed(1, unit(1))])
        assert await VectorSets(link, model="m/2").nearest([(HERE, unit(1))], 1) == [[]]
        await link.close()


async def test_a_local_index_is_built_from_the_store(tmp_path: Path) -> None:
    """A process that starts takes in what others have added, and drops what is gone."""
    async with RedisServer(tmp_path / "redis") as server:
        link = RedisLink(server.url, connect_seconds_max=5)
        stored = Stored()
        first = LocalIndex(link, stored, dimensions=SIZE)
        many = [placed(n, unit(n)) for n in range(600)]
        await first.add(many)
        stored.vectors = {each.member: each.vector for each in many[1:]}
        second = LocalIndex(link, stored, dimensions=SIZE)
        assert await second.build() == 599
        assert await second.build() == 0
        assert await second.nearest([(HERE, unit(5))], 1) == [[Near(key(5), pytest.approx(1.0))]]
        await link.close()


async def test_a_local_index_is_bounded(tmp_path: Path) -> None:
    """Over the limit the partition used least goes, then the oldest members."""
    async with RedisServer(tmp_path / "redis") as server:
        link = RedisLink(server.url, connect_seconds_max=5)
        index = LocalIndex(link, Stored(), dimensions=SIZE, members_max=10)
        other = Partition("tag-b", "a" * 64)
        await index.add([placed(n, unit(n), other) for n in range(4)])
        await index.add([placed(n, unit(n)) for n in range(12)])
        assert index.size == 10
        assert await index.nearest([(other, unit(1))], 1) == [[]]
        (found,) = await index.nearest([(HERE, unit(11))], 1)
        assert found[0].key == key(11)
        assert (await index.nearest([(HERE, unit(0))], 1))[0][0].key != key(0)
        await link.close()
