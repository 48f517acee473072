"""Finds answers that were paid for already, a batch in one round trip."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spendgate.cache.v1 import cache_service_pb2 as pb

from chassis.deadline import Deadline
from chassis.errors import InvalidFields
from services.cache import places
from services.cache.checks import check_lookup
from services.cache.fingerprint import Names, is_cacheable, names, scope_tag
from services.cache.leases import Leases, Wanted
from services.cache.near.decisions import Decisions
from services.cache.near.eligible import skipped
from services.cache.near.index import Partition
from services.cache.near.search import NearAsk, NearFound, Search, may_have
from services.cache.prose import CaseFolding
from services.cache.reading import Reader
from services.cache.record import Recorder
from services.cache.store import StoreUnavailable
from services.cache.value import Kept

# Naming a prompt takes some 20 us and 20 us a KiB at worst; what could take 1 ms goes to a thread.
PROMPTS_ON_LOOP_MAX = 32
BYTES_ON_LOOP_MAX = 32 * 1024


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's defaults. `semantic_seconds_max` bounds embedding and verifying."""

    folding: CaseFolding = CaseFolding.SAFE
    temperature_max: float = 0.0
    unset_temperature: bool = True
    wrong_hit_ppm_max: int = 10_000
    semantic_seconds_max: float = 0.2


@dataclass(frozen=True, slots=True)
class Semantic:
    """What a semantic look-up needs beside the exact one."""

    search: Search
    decisions: Decisions


@dataclass(slots=True)
class _Asked:
    """An item that may be cached: its names and what was found so far."""

    item: pb.LookupItem
    tag: str
    names: Names
    deadline: Deadline
    finding: pb.Finding

    @property
    def place(self) -> str:
        return places.entry(self.tag, self.names.key)


class Lookup:
    """The verb Lookup."""

    def __init__(
        self,
        reader: Reader,
        leases: Leases,
        recorder: Recorder,
        policy: Policy,
        *,
        new_token: Callable[[], str],
        semantic: Semantic | None = None,
    ) -> None:
        """`semantic` None: only the very same prompt is found; it may be set later, once models
        are loaded. `new_token` names leases."""
        self.reader = reader
        self._leases = leases
        self._recorder = recorder
        self._policy = policy
        self._new_token = new_token
        self.semantic = semantic

    async def find(
        self, items: Sequence[pb.LookupItem], deadlines: Sequence[Deadline] = ()
    ) -> list[pb.Finding | Exception]:
        """A finding or InvalidFields for each item, in order. A store that is away bypasses."""
        given = deadlines or [Deadline.after(self._policy.semantic_seconds_max)] * len(items)
        named = await self._name_all(items, given)
        asked = [each for each in named if isinstance(each, _Asked)]
        cacheable = [each for each in asked if each.names.key]
        try:
            kept = await self.reader.read(each.place for each in cacheable)
        except StoreUnavailable:
            for each in cacheable:
                each.finding.outcome = pb.OUTCOME_BYPASSED
        else:
            for each in cacheable:
                self._exact(each, kept)
            await self._near([each for each in cacheable if not _is_hit(each.finding)])
            await self._lead([each for each in cacheable if not _is_hit(each.finding)])
        for each in asked:
            self._recorder.looked_up(each.item, each.finding)
        return [each.finding if isinstance(each, _Asked) else each for each in named]

    async def _name_all(
        self, items: Sequence[pb.LookupItem], deadlines: Sequence[Deadline]
    ) -> list[_Asked | Exception]:
        size = sum(item.ByteSize() for item in items)
        pairs = list(zip(items, deadlines, strict=True))
        if len(items) > PROMPTS_ON_LOOP_MAX or size > BYTES_ON_LOOP_MAX:
            return await asyncio.to_thread(lambda: [self._name(*pair) for pair in pairs])
        return [self._name(*pair) for pair in pairs]

    def _name(self, item: pb.LookupItem, deadline: Deadline) -> _Asked | Exception:
        try:
            check_lookup(item)
        except InvalidFields as error:
            return error
        policy = self._policy
        temperature_max = (
            item.temperature_max if item.HasField("temperature_max") else policy.temperature_max
        )
        finding = pb.Finding()
        scope = item.scope
        tag = scope_tag(scope.tenant, scope.project, scope.user)
        if not is_cacheable(
            item.prompt, temperature_max, unset_temperature=policy.unset_temperature
        ):
            finding.outcome = pb.OUTCOME_NOT_CACHEABLE
            return _Asked(item, tag, Names(""), deadline, finding)
        semantic = item.mode == pb.LOOKUP_MODE_SEMANTIC and self.semantic is not None
        found = names(item.model, item.prompt, policy.folding, semantic=semantic)
        finding.key = found.key
        return _Asked(item, tag, found, deadline, finding)

    def _exact(self, asked: _Asked, kept: Mapping[str, Kept]) -> None:
        asked.finding.outcome = pb.OUTCOME_MISS
        found = kept.get(asked.place)
        if found is None:
            return
        if not may_have(found, asked.item.user):
            if asked.item.explain:
                seen = asked.finding.explanation.candidates.add(entry_key=asked.names.key)
                seen.similarity, seen.refused_by = 1.0, "withheld"
            return
        _serve(asked.finding, pb.OUTCOME_EXACT, asked.names.key, found)

    async def _near(self, missed: list[_Asked]) -> None:
        """Looks for prompts that ask for the same, for those that may have such an answer."""
        if self.semantic is None:
            return
        able: list[_Asked] = []
        asks: list[NearAsk] = []
        for each in missed:
            if each.item.mode != pb.LOOKUP_MODE_SEMANTIC:
                continue
            ask = await self._ask_of(each, self.semantic.decisions)
            why = skipped(each.names, self.semantic.search.embedder, ask.decision)
            if why:
                if each.item.explain:
                    each.finding.explanation.skipped = why
                continue
            each.finding.semantic.context = each.names.context
            each.finding.semantic.text = each.names.text
            able.append(each)
            asks.append(ask)
        if not able:
            return
        for each, found in zip(able, await self.semantic.search.find(asks), strict=True):
            self._tell(each, found)

    async def _ask_of(self, asked: _Asked, decisions: Decisions) -> NearAsk:
        item = asked.item
        ppm = item.wrong_hit_ppm_max or self._policy.wrong_hit_ppm_max
        return NearAsk(
            partition=Partition(asked.tag, asked.names.context),
            key=asked.names.key,
            text=asked.names.text,
            user=item.user,
            decision=await decisions.of(
                item.scope.tenant, item.feature, ppm, owned=bool(item.scope.user)
            ),
            deadline=asked.deadline.sooner(self._policy.semantic_seconds_max),
            vector_wanted=item.vector_wanted,
            explain=item.explain,
        )

    def _tell(self, asked: _Asked, found: NearFound) -> None:
        finding = asked.finding
        if asked.item.explain or found.hit is None:
            # What a miss has compared anyway is told: the books count what was nearly paid twice.
            finding.explanation.MergeFrom(found.explanation)
        if found.hit is not None:
            _serve(finding, pb.OUTCOME_SEMANTIC, found.entry_key, found.hit)
            finding.similarity = found.similarity
            if found.p_same is not None:
                finding.p_same = found.p_same
            self._recorder.served(asked.item, asked.tag, found)
        elif found.vector is not None and self.semantic is not None:
            finding.vector.extend(found.vector.tolist())
            finding.vector_model = self.semantic.search.model_version

    async def _lead(self, missed: list[_Asked]) -> None:
        """Gives leases to those who asked for one; of equal prompts to one only."""
        able = [each for each in missed if each.item.lease_ms and not each.item.dry_run]
        if not able:
            return
        wanted = [
            Wanted(each.tag, each.names.key, self._new_token(), each.item.lease_ms) for each in able
        ]
        try:
            got = await self._leases.acquire(wanted)
        except StoreUnavailable:
            return  # nobody waits for anybody
        for each, want, is_got in zip(able, wanted, got, strict=True):
            if is_got:
                each.finding.lease = want.token
            else:
                each.finding.led_elsewhere = True


def _is_hit(finding: pb.Finding) -> bool:
    return finding.outcome in {pb.OUTCOME_EXACT, pb.OUTCOME_SEMANTIC}


def _serve(finding: pb.Finding, outcome: pb.Outcome, entry_key: str, kept: Kept) -> None:
    finding.outcome = outcome
    finding.entry_key = entry_key
    finding.answer.CopyFrom(kept.entry.answer)
    finding.entry_feature = kept.entry.feature
    finding.store_time.FromMilliseconds(kept.store_time_ms)
