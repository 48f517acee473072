"""CacheService: proto in, call, proto out."""

from typing import Any

from google.rpc import status_pb2
from opentelemetry import metrics
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.cache.v1 import cache_service_pb2_grpc as rpc

from chassis import names
from chassis.batch import Live, answer_batch
from services.cache.errors import TABLE
from services.cache.keep import Keep, Kept
from services.cache.lookup import Lookup

_meter = metrics.get_meter("spendgate")
_lookups = _meter.create_counter(
    "spendgate.cache.lookups", unit="{prompt}", description="Prompts looked up, by outcome."
)
_stores = _meter.create_counter(
    "spendgate.cache.stores", unit="{answer}", description="Answers offered, by outcome."
)


class CacheServicer(rpc.CacheServiceServicer):
    """Converts and calls."""

    def __init__(self, lookup: Lookup, keep: Keep) -> None:
        self._lookup = lookup
        self._keep = keep

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

    async def _find(self, lives: list[Live[pb.LookupItem]]) -> list[pb.Finding | Exception]:
        findings = await self._lookup.find([live.item for live in lives])
        for live, finding in zip(lives, findings, strict=True):
            outcome = "INVALID"
            if not isinstance(finding, Exception):
                outcome = pb.Outcome.Name(finding.outcome).removeprefix("OUTCOME_")
                live.span.set_attribute(names.CACHE_OUTCOME, outcome)
            _lookups.add(1, {names.CACHE_OUTCOME: outcome})
        return findings

    async def _store(self, lives: list[Live[pb.StoreItem]]) -> list[Kept | Exception]:
        outcomes = await self._keep.keep([live.item for live in lives])
        for live, outcome in zip(lives, outcomes, strict=True):
            if isinstance(outcome, Kept):
                live.span.set_attribute(names.CACHE_TTL_SECONDS, outcome.ttl_ms // 1000)
            kind = "KEPT" if isinstance(outcome, Kept) else type(outcome).__name__
            _stores.add(1, {names.CACHE_OUTCOME: kind})
        return outcomes
