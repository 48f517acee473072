"""The other services over gRPC: hot calls coalesced, the rest as they come."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.trace import INVALID_SPAN, Span
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.cache.v1 import cache_service_pb2_grpc as cache_grpc
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2, key_pb2, lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc
from spendgate.ledger.v1 import reading_service_pb2_grpc as reading_grpc
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.router.v1 import router_service_pb2_grpc as router_grpc
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as tokenizer_grpc

from chassis.channel import Link
from chassis.deadline import Deadline
from chassis.hop import BatchHop
from chassis.tls import TlsFiles

MODELS_PAGE_SIZE = 200
NEAR_FLIGHTS_MAX = 16
BUDGETS_PAGE_SIZE = 200


class GrpcServices:
    """gateway.ports.Services over four links."""

    def __init__(
        self,
        *,
        tokenizer: str,
        cache: str,
        router: str,
        ledger: str,
        token: str | None,
        tls: TlsFiles | None = None,
        book_linger_seconds: float = 0.0,
    ) -> None:
        """Takes the services' targets, the fleet's token and its certificate files.

        `book_linger_seconds`: how long bookings gather before they go to the ledger.

        Must be made in the running loop. Raises: TlsUnreadable.
        """
        tokens = Link(tokenizer, "spendgate.tokenizer.v1.TokenizerService", token, tls=tls)
        caches = Link(cache, "spendgate.cache.v1.CacheService", token, tls=tls)
        self._routes = Link(router, "spendgate.router.v1.RouterService", token, tls=tls)
        self._books = Link(ledger, "spendgate.ledger.v1.LedgerService", token, tls=tls)
        self._links = (tokens, caches, self._routes, self._books)
        to_tokenizer = tokens.stub(tokenizer_grpc.TokenizerServiceStub)
        to_cache = caches.stub(cache_grpc.CacheServiceStub)
        self._router = self._routes.stub(router_grpc.RouterServiceStub)
        self._ledger = self._books.stub(ledger_grpc.LedgerServiceStub)
        # What people ask, each as it comes.
        self._asked: dict[str, tuple[Link, Any]] = {
            "ledger": (self._books, self._ledger),
            "reading": (self._books, self._books.stub(reading_grpc.ReadingServiceStub)),
            "router": (self._routes, self._router),
            "cache": (caches, to_cache),
        }
        self._prepare = BatchHop(tokens, to_tokenizer.Prepare, tokenizer_pb.PrepareRequest)
        self._count = BatchHop(tokens, to_tokenizer.Count, tokenizer_pb.CountRequest)
        self._usage = BatchHop(tokens, to_tokenizer.ReportUsage, tokenizer_pb.ReportUsageRequest)
        self._caches = caches
        self._cache = to_cache
        self._lookup = BatchHop(caches, to_cache.Lookup, cache_pb.LookupRequest)
        # Embedding takes milliseconds: such look-ups wait neither for one another nor keep exact
        # ones waiting.
        self._lookup_near = BatchHop(
            caches, to_cache.Lookup, cache_pb.LookupRequest, flights_max=NEAR_FLIGHTS_MAX
        )
        self._lease = BatchHop(caches, to_cache.RenewLeases, cache_pb.RenewLeasesRequest)
        self._store = BatchHop(caches, to_cache.Store, cache_pb.StoreRequest)
        self._route = BatchHop(self._routes, self._router.Route, router_pb.RouteRequest)
        self._outcome = BatchHop(
            self._routes, self._router.ReportOutcome, router_pb.ReportOutcomeRequest
        )
        self._reserve = BatchHop(self._books, self._ledger.Reserve, ledger_pb.ReserveRequest)
        self._settle = BatchHop(
            self._books,
            self._ledger.Settle,
            ledger_pb.SettleRequest,
            linger_seconds=book_linger_seconds,
        )
        self._release = BatchHop(self._books, self._ledger.Release, ledger_pb.ReleaseRequest)
        self._record = BatchHop(
            self._books,
            self._ledger.Record,
            ledger_pb.RecordRequest,
            linger_seconds=book_linger_seconds,
        )

    async def prepare(
        self, item: tokenizer_pb.PrepareItem, deadline: Deadline
    ) -> tokenizer_pb.Prepared:
        """See gateway.ports.Services, as for every method here."""
        prepared: tokenizer_pb.Prepared = await self._prepare.call(item, deadline)
        return prepared

    async def count(self, item: tokenizer_pb.CountItem, deadline: Deadline) -> int:
        """Tokens of a text."""
        count: tokenizer_pb.TokenCount = await self._count.call(item, deadline)
        return count.tokens

    async def report_usage(self, item: tokenizer_pb.ReportUsageItem, deadline: Deadline) -> None:
        """What a provider reported, for the tokenizer to learn from."""
        await self._usage.call(item, deadline)

    async def lookup(self, item: cache_pb.LookupItem, deadline: Deadline) -> cache_pb.Finding:
        """What the cache knows of a prompt."""
        semantic = item.mode == cache_pb.LOOKUP_MODE_SEMANTIC
        hop = self._lookup_near if semantic else self._lookup
        finding: cache_pb.Finding = await hop.call(item, deadline)
        return finding

    async def await_answer(
        self, request: cache_pb.AwaitRequest, deadline: Deadline
    ) -> cache_pb.Finding:
        """An answer that another caller is getting, or the lease to get it."""
        response = await self._caches.call(self._cache.Await, request, deadline)
        finding: cache_pb.Finding = response.finding
        return finding

    async def renew_lease(self, item: cache_pb.LeaseItem, deadline: Deadline) -> bool:
        """Whether a lease was still held, and is renewed or given back."""
        state: cache_pb.LeaseState = await self._lease.call(item, deadline)
        return state.held

    async def report_wrong_hit(
        self, request: cache_pb.ReportWrongHitRequest, deadline: Deadline
    ) -> cache_pb.ReportWrongHitResponse:
        """How a hit turned out."""
        response: cache_pb.ReportWrongHitResponse = await self._caches.call(
            self._cache.ReportWrongHit, request, deadline
        )
        return response

    async def embed_texts(
        self, texts: Sequence[str], deadline: Deadline
    ) -> Sequence[Sequence[float]]:
        """A unit vector a text."""
        request = cache_pb.EmbedRequest(texts=texts)
        response = await self._caches.call(self._cache.Embed, request, deadline)
        return [vector.values for vector in response.vectors]

    async def store(self, item: cache_pb.StoreItem, deadline: Deadline) -> None:
        """Keeps an answer."""
        await self._store.call(item, deadline)

    async def route(self, item: router_pb.RouteItem, deadline: Deadline) -> router_pb.Decision:
        """The model to call."""
        decision: router_pb.Decision = await self._route.call(item, deadline)
        return decision

    async def report_outcome(self, item: router_pb.Outcome, deadline: Deadline) -> None:
        """How a call ended, for the router to learn from."""
        await self._outcome.call(item, deadline)

    async def reserve(self, item: ledger_pb.ReserveItem, deadline: Deadline) -> hold_pb2.Hold:
        """Money set aside."""
        hold: hold_pb2.Hold = await self._reserve.call(item, deadline)
        return hold

    async def settle(self, item: ledger_pb.SettleItem, deadline: Deadline) -> ledger_pb.Settlement:
        """A hold charged."""
        settlement: ledger_pb.Settlement = await self._settle.call(item, deadline)
        return settlement

    async def release(self, item: ledger_pb.ReleaseItem, deadline: Deadline) -> hold_pb2.Hold:
        """A hold given back."""
        hold: hold_pb2.Hold = await self._release.call(item, deadline)
        return hold

    async def acquire_lease(
        self, request: ledger_pb.AcquireLeaseRequest, deadline: Deadline
    ) -> lease_pb2.Lease:
        """A slice of budgets set aside."""
        response = await self._books.call(self._ledger.AcquireLease, request, deadline)
        lease: lease_pb2.Lease = response.lease
        return lease

    async def return_lease(
        self, request: ledger_pb.ReturnLeaseRequest, deadline: Deadline
    ) -> hold_pb2.Hold:
        """A slice given back."""
        response = await self._books.call(self._ledger.ReturnLease, request, deadline)
        hold: hold_pb2.Hold = response.hold
        return hold

    async def record(self, item: ledger_pb.RecordItem, deadline: Deadline) -> entry_pb2.Entry:
        """A row booked that had no hold."""
        entry: entry_pb2.Entry = await self._record.call(item, deadline)
        return entry

    async def budgets(self, tenant: str, deadline: Deadline) -> Sequence[budget_pb2.Budget]:
        """A tenant's budgets, at most one page of the ledger's."""
        request = ledger_pb.ListBudgetsRequest(tenant=tenant, page_size=BUDGETS_PAGE_SIZE)
        response = await self._books.call(self._ledger.ListBudgets, request, deadline)
        budgets: Sequence[budget_pb2.Budget] = response.budgets
        return budgets

    async def resolve_key(self, secret: str, deadline: Deadline) -> key_pb2.Key:
        """Whose key it is."""
        request = ledger_pb.ResolveKeyRequest(secret=secret)
        response = await self._books.call(self._ledger.ResolveKey, request, deadline)
        key: key_pb2.Key = response.key
        return key

    async def ask_ledger(self, method: str, request: Any, deadline: Deadline) -> Any:
        """See gateway.desk.Ledger."""
        return await self.ask("ledger", method, request, deadline)

    async def ask(self, service: str, method: str, request: Any, deadline: Deadline) -> Any:
        """See gateway.console.forwards.Fleet."""
        link, stub = self._asked[service]
        return await link.call(getattr(stub, method), request, deadline)

    async def list_models(
        self, deadline: Deadline, span: Span = INVALID_SPAN
    ) -> Sequence[router_pb.Model]:
        """Every configured model, by name."""
        models: list[router_pb.Model] = []
        request = router_pb.ListModelsRequest(page_size=MODELS_PAGE_SIZE)
        while True:
            response = await self._routes.call(self._router.ListModels, request, deadline, span)
            models += response.models
            if not response.next_page_token:
                return models
            request.page_token = response.next_page_token

    async def close(self) -> None:
        """Ends the hops, then the links."""
        for hop in (
            self._prepare,
            self._count,
            self._usage,
            self._lookup,
            self._lookup_near,
            self._lease,
            self._store,
            self._route,
            self._outcome,
            self._reserve,
            self._settle,
            self._release,
            self._record,
        ):
            await hop.close()
        for link in self._links:
            await link.close()
