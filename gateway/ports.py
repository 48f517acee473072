"""What the gateway needs of the other services, one item at a time."""

from collections.abc import Sequence
from typing import Protocol

from opentelemetry.trace import Span
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2, key_pb2, lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from chassis.deadline import Deadline


class Services(Protocol):
    """The four services. Every method raises what chassis.hop.BatchHop.call raises."""

    async def prepare(
        self, item: tokenizer_pb.PrepareItem, deadline: Deadline
    ) -> tokenizer_pb.Prepared:
        """Input tokens of a prompt by segment."""
        ...

    async def count(self, item: tokenizer_pb.CountItem, deadline: Deadline) -> int:
        """Tokens of a text."""
        ...

    async def report_usage(self, item: tokenizer_pb.ReportUsageItem, deadline: Deadline) -> None:
        """What a provider reported, for the tokenizer to learn from."""
        ...

    async def lookup(self, item: cache_pb.LookupItem, deadline: Deadline) -> cache_pb.Finding:
        """What the cache knows of a prompt."""
        ...

    async def store(self, item: cache_pb.StoreItem, deadline: Deadline) -> None:
        """Keeps an answer."""
        ...

    async def await_answer(
        self, request: cache_pb.AwaitRequest, deadline: Deadline
    ) -> cache_pb.Finding:
        """An answer that another caller is getting, or the lease to get it."""
        ...

    async def renew_lease(self, item: cache_pb.LeaseItem, deadline: Deadline) -> bool:
        """Whether a lease was still held, and is renewed or given back."""
        ...

    async def report_wrong_hit(
        self, request: cache_pb.ReportWrongHitRequest, deadline: Deadline
    ) -> cache_pb.ReportWrongHitResponse:
        """How a hit turned out."""
        ...

    async def embed_texts(
        self, texts: Sequence[str], deadline: Deadline
    ) -> Sequence[Sequence[float]]:
        """A unit vector a text, in order."""
        ...

    async def route(self, item: router_pb.RouteItem, deadline: Deadline) -> router_pb.Decision:
        """The model to call."""
        ...

    async def report_outcome(self, item: router_pb.Outcome, deadline: Deadline) -> None:
        """How a call ended, for the router to learn from."""
        ...

    async def reserve(self, item: ledger_pb.ReserveItem, deadline: Deadline) -> hold_pb2.Hold:
        """Money set aside."""
        ...

    async def settle(self, item: ledger_pb.SettleItem, deadline: Deadline) -> ledger_pb.Settlement:
        """A hold charged."""
        ...

    async def release(self, item: ledger_pb.ReleaseItem, deadline: Deadline) -> hold_pb2.Hold:
        """A hold given back."""
        ...

    async def acquire_lease(
        self, request: ledger_pb.AcquireLeaseRequest, deadline: Deadline
    ) -> lease_pb2.Lease:
        """A slice of budgets set aside."""
        ...

    async def return_lease(
        self, request: ledger_pb.ReturnLeaseRequest, deadline: Deadline
    ) -> hold_pb2.Hold:
        """A slice given back."""
        ...

    async def record(self, item: ledger_pb.RecordItem, deadline: Deadline) -> entry_pb2.Entry:
        """A row booked that had no hold."""
        ...

    async def budgets(self, tenant: str, deadline: Deadline) -> Sequence[budget_pb2.Budget]:
        """A tenant's budgets, at most one page of the ledger's."""
        ...

    async def resolve_key(self, secret: str, deadline: Deadline) -> key_pb2.Key:
        """Whose key it is."""
        ...

    async def list_models(self, deadline: Deadline, span: Span) -> Sequence[router_pb.Model]:
        """Every configured model, by name."""
        ...
