"""Removes entries by what they are about, or counts what would go."""

from collections.abc import AsyncIterator, Sequence

from spendgate.cache.v1 import cache_service_pb2 as pb

from chassis.deadline import Deadline
from services.cache import places
from services.cache.catalogue import Catalogue
from services.cache.fingerprint import scope_tag
from services.cache.link import Command, Link, whole
from services.cache.near.index import Member, Partition
from services.cache.near.search import Search
from services.cache.reading import Reader
from services.cache.value import Kept

# What is done by then is told; the rest is for another call.
MARGIN_SECONDS = 0.5
NANOS_PER_MS = 1_000_000


class Invalidate:
    """The verb Invalidate. It reads entries page by page: a large cache takes a while.

    `search` may be set later, once models are loaded.
    """

    def __init__(
        self, link: Link, reader: Reader, catalogue: Catalogue, search: Search | None = None
    ) -> None:
        self._link = link
        self._reader = reader
        self._catalogue = catalogue
        self.search = search

    async def run(self, request: pb.InvalidateRequest, deadline: Deadline) -> pb.InvalidateResponse:
        """What matched and went. Raises StoreUnavailable."""
        response = pb.InvalidateResponse(complete=True)
        scope = request.scope
        tags = await self._catalogue.scopes(scope.tenant, scope.project, scope.user)
        for tag in tags:
            async for page in self._pages(tag, request):
                if deadline.left_seconds() < MARGIN_SECONDS:
                    response.complete = False
                    return response
                await self._one_page(tag, page, request, response)
        return response

    async def _pages(self, tag: str, request: pb.InvalidateRequest) -> AsyncIterator[Sequence[str]]:
        if request.keys:
            yield sorted(set(request.keys))
            return
        async for page in self._catalogue.keys(tag):
            yield page

    async def _one_page(
        self,
        tag: str,
        keys: Sequence[str],
        request: pb.InvalidateRequest,
        response: pb.InvalidateResponse,
    ) -> None:
        by_place = {places.entry(tag, key): key for key in keys}
        kept = await self._reader.read(by_place)
        response.seen_count += len(kept)
        matched = {by_place[place]: each for place, each in kept.items() if matches(each, request)}
        response.matched_count += len(matched)
        if matched and not request.dry_run:
            response.removed_count += await self.remove(tag, matched)

    async def remove(self, tag: str, entries: dict[str, Kept]) -> int:
        """Removes entries (key -> what is kept); how many were still there.

        Raises StoreUnavailable.
        """
        commands: list[Command] = []
        for key in entries:
            commands.append(("UNLINK", places.entry(tag, key)))
            commands.append(("ZREM", places.listing(tag), bytes.fromhex(key)))
        replies = await self._link.run(commands)
        if self.search is not None:
            members = [
                Member(Partition(tag, each.entry.semantic.context), key)
                for key, each in entries.items()
                if each.entry.HasField("semantic")
            ]
            await self.search.remove(members)
        return sum(whole(reply) for reply in replies[::2])


def matches(kept: Kept, request: pb.InvalidateRequest) -> bool:
    """Whether an entry is what the filters name. Keys are not looked at."""
    entry = kept.entry
    if request.tags and not set(request.tags) & set(entry.tags):
        return False
    if request.features and entry.feature not in request.features:
        return False
    if request.models and not {entry.model_asked, entry.answer.model} & set(request.models):
        return False
    stored_ns = kept.store_time_ms * NANOS_PER_MS
    if (
        request.HasField("store_time_start")
        and stored_ns < request.store_time_start.ToNanoseconds()
    ):
        return False
    if request.HasField("store_time_end"):
        return stored_ns < request.store_time_end.ToNanoseconds()
    return True


def tag_of(scope: pb.Scope) -> str:
    """The scope's tag."""
    return scope_tag(scope.tenant, scope.project, scope.user)
