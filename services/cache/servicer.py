"""CacheService: proto in, call, proto out."""

from dataclasses import dataclass
from typing import Any

from google.rpc import status_pb2
from opentelemetry import metrics
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import cache_service_pb2_grpc as rpc

from chassis import names
from chassis.batch import Live, answer_batch
from chassis.calls import current_call
from chassis.errors import FieldViolation, InvalidFields
from services.cache import checks
from services.cache.embed import Embed
from services.cache.errors import TABLE
from services.cache.invalidate import Invalidate, tag_of
from services.cache.keep import Keep, Kept
from services.cache.leases import Leases, Wanted
from services.cache.lookup import Lookup
from services.cache.report import Allow, Report
from services.cache.stats import Stats
from services.cache.waiting import Waiting

WAIT_MS_MAX = 600_000
_VERDICTS = {pb.HIT_VERDICT_RIGHT: "RIGHT", pb.HIT_VERDICT_STALE: "STALE"}
ALLOWED_KEYS_MAX = 256

_meter = metrics.get_meter("spendgate")
_lookups = _meter.create_counter(
    "spendgate.cache.lookups", unit="{prompt}", description="Prompts looked up, by outcome."
)
_stores = _meter.create_counter(
    "spendgate.cache.stores", unit="{answer}", description="Answers offered, by outcome."
)
_reports = _meter.create_counter(
    names.METRIC_HIT_REPORTS, unit="{report}", description="Reports on hits, by verdict."
)
_refusals = _meter.create_counter(
    "spendgate.cache.refusals",
    unit="{candidate}",
    description="Nearest candidates that were not served, by what refused them.",
)


@dataclass(frozen=True, slots=True)
class Verbs:
    """What the service does, one verb each."""

    lookup: Lookup
    keep: Keep
    waiting: Waiting
    leases: Leases
    invalidate: Invalidate
    stats: Stats
    report: Report
    allow: Allow
    embed: Embed


class CacheServicer(rpc.CacheServiceServicer):
    """Converts and calls."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs

    async def Lookup(self, request: pb.LookupRequest, context: Any) -> pb.LookupResponse:
        """Looks answers up."""
        answers = await answer_batch(
            request.items, span_name="cache.lookup", errors=TABLE, handle=self._find
        )
        response = pb.LookupResponse()
        for answer in answers:
            if isinstance(answer, status_pb2.Status):
                response.results.add(error=answer)
            else:
                response.results.add(finding=answer)
        return response

    async def Store(self, request: pb.StoreRequest, context: Any) -> pb.StoreResponse:
        """Keeps answers."""
        answers = await answer_batch(
            request.items, span_name="cache.store", errors=TABLE, handle=self._store
        )
        response = pb.StoreResponse()
        for answer in answers:
            if isinstance(answer, status_pb2.Status):
                response.results.add(error=answer)
            else:
                response.results.add().expire_time.FromMilliseconds(answer.expire_time_ms)
        return response

    async def Await(self, request: pb.AwaitRequest, context: Any) -> pb.AwaitResponse:
        """Waits for an answer that another caller is getting."""
        checks.check_scope(request.scope)
        checks.check_key("key", request.key)
        checks.check_lease(request.lease_ms)
        if request.lease_ms == 0:
            raise InvalidFields("LEASE_INVALID", FieldViolation("lease_ms", "is required"))
        if not 0 <= request.wait_ms <= WAIT_MS_MAX:
            wanted = f"takes 0 to {WAIT_MS_MAX} ms, got {request.wait_ms}"
            raise InvalidFields("LEASE_INVALID", FieldViolation("wait_ms", wanted))
        deadline = current_call().deadline
        if request.wait_ms:
            deadline = deadline.sooner(request.wait_ms / 1000)
        return pb.AwaitResponse(finding=await self._verbs.waiting.wait(request, deadline))

    async def RenewLeases(
        self, request: pb.RenewLeasesRequest, context: Any
    ) -> pb.RenewLeasesResponse:
        """Keeps leases alive, or gives them back."""
        answers = await answer_batch(
            request.items, span_name="cache.renew_lease", errors=TABLE, handle=self._renew
        )
        response = pb.RenewLeasesResponse()
        for answer in answers:
            if isinstance(answer, status_pb2.Status):
                response.results.add(error=answer)
            else:
                response.results.add(state=answer)
        return response

    async def Invalidate(
        self, request: pb.InvalidateRequest, context: Any
    ) -> pb.InvalidateResponse:
        """Removes answers, or counts what would go."""
        checks.check_invalidate(request)
        return await self._verbs.invalidate.run(request, current_call().deadline)

    async def Stats(self, request: pb.StatsRequest, context: Any) -> pb.StatsResponse:
        """What the cache did for a tenant."""
        checks.check_stats(request)
        return await self._verbs.stats.read(request)

    async def ReportWrongHit(
        self, request: pb.ReportWrongHitRequest, context: Any
    ) -> pb.ReportWrongHitResponse:
        """Says how a hit turned out."""
        response = await self._verbs.report.take(request)
        _reports.add(1, {names.VERDICT: _VERDICTS.get(request.verdict, "WRONG")})
        return response

    async def AllowEntries(
        self, request: pb.AllowEntriesRequest, context: Any
    ) -> pb.AllowEntriesResponse:
        """Lets everybody in the scope have answers."""
        checks.check_scope(request.scope)
        count = len(request.keys)
        if not 1 <= count <= ALLOWED_KEYS_MAX:
            wanted = f"takes 1 to {ALLOWED_KEYS_MAX} keys, got {count}"
            raise InvalidFields("KEY_INVALID", FieldViolation("keys", wanted))
        for key in request.keys:
            checks.check_key("keys", key)
        return pb.AllowEntriesResponse(allowed_count=await self._verbs.allow.run(request))

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        """Texts as vectors."""
        checks.check_texts(request.texts)
        return await self._verbs.embed.run(request.texts, current_call().deadline)

    async def _find(self, lives: list[Live[pb.LookupItem]]) -> list[pb.Finding | Exception]:
        findings = await self._verbs.lookup.find(
            [live.item for live in lives], [live.deadline for live in lives]
        )
        for live, finding in zip(lives, findings, strict=True):
            outcome = "INVALID"
            if not isinstance(finding, Exception):
                outcome = pb.Outcome.Name(finding.outcome).removeprefix("OUTCOME_")
                _note(live, finding, outcome)
            _lookups.add(1, {names.CACHE_OUTCOME: outcome})
        return findings

    async def _store(self, lives: list[Live[pb.StoreItem]]) -> list[Kept | Exception]:
        outcomes = await self._verbs.keep.keep([live.item for live in lives])
        for live, outcome in zip(lives, outcomes, strict=True):
            if isinstance(outcome, Kept):
                live.span.set_attribute(names.CACHE_TTL_SECONDS, outcome.ttl_ms // 1000)
            kind = "KEPT" if isinstance(outcome, Kept) else type(outcome).__name__
            _stores.add(1, {names.CACHE_OUTCOME: kind})
        return outcomes

    async def _renew(self, lives: list[Live[pb.LeaseItem]]) -> list[pb.LeaseState | Exception]:
        outcomes: list[pb.LeaseState | Exception] = []
        wanted = []
        for live in lives:
            item = live.item
            try:
                checks.check_lease_item(item)
            except InvalidFields as error:
                outcomes.append(error)
                continue
            wanted.append(Wanted(tag_of(item.scope), item.key, item.lease, item.lease_ms))
            outcomes.append(pb.LeaseState())
        if wanted:
            held = iter(await self._verbs.leases.renew(wanted))
            for outcome in outcomes:
                if isinstance(outcome, pb.LeaseState):
                    outcome.held = next(held)
        return outcomes


def _note(live: Live[pb.LookupItem], finding: pb.Finding, outcome: str) -> None:
    """What a look-up's span tells: never a text."""
    live.span.set_attribute(names.CACHE_OUTCOME, outcome)
    if finding.HasField("similarity"):
        live.span.set_attribute(names.CACHE_SIMILARITY, finding.similarity)
    for seen in finding.explanation.candidates[:1]:
        if seen.refused_by:
            live.span.set_attribute(names.CACHE_REFUSED_BY, seen.refused_by)
            if not finding.HasField("similarity"):
                live.span.set_attribute(names.CACHE_SIMILARITY, seen.similarity)
            _refusals.add(1, {names.CACHE_REFUSED_BY: seen.refused_by})
