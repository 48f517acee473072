"""The four services as one scripted object, for tests of the saga alone.

It keeps what was asked of it. `fail[name]` makes a method raise; `gate[name]` makes it wait.
"""

import asyncio
from collections import defaultdict

import grpc
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2, key_pb2, lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from chassis.deadline import DeadlinePassed
from chassis.errors import ErrorStatus, ErrorTable, RemoteError

COST_NANOS = 1000
_TABLE = ErrorTable("ledger.spendgate", {})


def refusal(code: grpc.StatusCode, reason: str) -> RemoteError:
    """A status as a service gives it."""
    return RemoteError(_TABLE.build(ErrorStatus(code, reason, "refused", {"k": "v"})))


class FakeServices:
    """gateway.ports.Services."""

    def __init__(self) -> None:
        self.asked = defaultdict(list)
        self.fail = {}
        self.gate = {}
        self.stored = {}
        self.models = ["cheap"]
        # Steps of a plan to answer Route with: (model, checks, parallel).
        self.plan = []
        self.shadow = ""
        self.kept_budgets = []
        # What the ledger says is left, with a hold and with a settlement.
        self.tightest = None
        self.cacheable = True
        self.finding = {}  # more fields of every miss
        self.awaited = []
        self.ratio_source = tokenizer_pb.RATIO_SOURCE_UNSPECIFIED
        # How every prompt is to be changed.
        self.edits = None
        # What a lease is granted; None: what was wanted.
        self.granted = None
        self.hard_lease = False
        # The price list of a model, as the ledger has it.
        self.price_version = lambda model: ""
        # Whether a budget asks for the cheapest model.
        self.downgrade = False
        # Whether a budget has room for one call, and not for two at once.
        self.room_for_one = False

    async def _note(self, name, item, deadline):
        if deadline.passed:
            raise DeadlinePassed
        self.asked[name].append(item)
        if name in self.gate:
            await self.gate[name].wait()
        else:
            await asyncio.sleep(0)
        if name in self.fail:
            raise self.fail[name]

    async def prepare(self, item, deadline):
        await self._note("prepare", item, deadline)
        count = tokenizer_pb.TokenCount(
            tokens=10,
            method=tokenizer_pb.COUNT_METHOD_EXACT,
            encoding="o200k_base",
            ratio_source=self.ratio_source,
        )
        return tokenizer_pb.Prepared(
            input=count,
            segments=tokenizer_pb.Segments(new_tokens=7, overhead_tokens=3),
            parts=tokenizer_pb.CountParts(latin_tokens=6, overhead_tokens=4),
            edits=self.edits,
        )

    async def count(self, item, deadline):
        await self._note("count", item, deadline)
        return len(item.text.split())

    async def report_usage(self, item, deadline):
        await self._note("report_usage", item, deadline)

    async def lookup(self, item, deadline):
        await self._note("lookup", item, deadline)
        if not self.cacheable:
            return cache_pb.Finding(outcome=cache_pb.OUTCOME_NOT_CACHEABLE)
        key = item.prompt.messages[-1].content.encode().hex().ljust(64, "0")[:64]
        answer = self.stored.get((item.scope.SerializeToString(), key))
        if answer is None:
            return cache_pb.Finding(outcome=cache_pb.OUTCOME_MISS, key=key, **self.finding)
        return cache_pb.Finding(
            outcome=cache_pb.OUTCOME_EXACT, key=key, answer=answer, entry_key=key
        )

    async def store(self, item, deadline):
        await self._note("store", item, deadline)
        self.stored[item.scope.SerializeToString(), item.key] = item.answer

    async def await_answer(self, request, deadline):
        await self._note("await_answer", request, deadline)
        return self.awaited.pop(0)

    async def renew_lease(self, item, deadline):
        await self._note("renew_lease", item, deadline)
        return True

    async def report_wrong_hit(self, request, deadline):
        await self._note("report_wrong_hit", request, deadline)
        return cache_pb.ReportWrongHitResponse(removed=True)

    async def route(self, item, deadline):
        await self._note("route", item, deadline)
        chain = [_candidate(model) for model in self.models]
        if item.model != "auto" and self.shadow == item.model:
            return router_pb.Decision(chosen=_candidate(item.model))
        decision = router_pb.Decision(
            chosen=chain[0],
            fallbacks=chain[1:],
            explanation="cheapest",
            baseline_model="dear",
            shadow_model=self.shadow,
        )
        for model, checks, parallel in self.plan:
            decision.plan.steps.add(candidate=_candidate(model), checks=checks, parallel=parallel)
        return decision

    async def report_outcome(self, item, deadline):
        await self._note("report_outcome", item, deadline)

    async def reserve(self, item, deadline):
        await self._note("reserve", item, deadline)
        if self.room_for_one and item.hold_all:
            raise refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED")
        hold = hold_pb2.Hold(
            hold_id=item.hold_id,
            held_nanos=5000,
            state=hold_pb2.HOLD_STATE_PENDING,
            tightest=self.tightest,
        )
        if self.downgrade:
            if not item.downgraded:
                raise refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_DOWNGRADE")
            hold.notices.add(budget_id="thrift", mode=budget_pb2.BUDGET_MODE_DOWNGRADE)
        return hold

    async def settle(self, item, deadline):
        await self._note("settle", item, deadline)
        entries = [
            entry_pb2.Entry(
                entry_id=attempt.entry_id,
                attempt=attempt,
                cost_nanos=COST_NANOS if attempt.usage.ByteSize() else 0,
                price_version="test 1",
            )
            for attempt in item.attempts
        ]
        charged = sum(entry.cost_nanos for entry in entries)
        hold = hold_pb2.Hold(hold_id=item.hold_id, state=hold_pb2.HOLD_STATE_SETTLED)
        return ledger_pb.Settlement(entries=entries, charged_nanos=charged, hold=hold)

    async def release(self, item, deadline):
        await self._note("release", item, deadline)
        return hold_pb2.Hold(hold_id=item.hold_id, state=hold_pb2.HOLD_STATE_RELEASED)

    async def acquire_lease(self, request, deadline):
        await self._note("acquire_lease", request, deadline)
        lease = lease_pb2.Lease(
            name=request.lease,
            granted=self.granted or request.wanted,
            admit_duration=request.admit_duration,
            hard=self.hard_lease,
        )
        for each in request.models:
            lease.models.add(
                model=each.model,
                provider=each.provider,
                price_version=self.price_version(each.model),
            )
        return lease

    async def return_lease(self, request, deadline):
        await self._note("return_lease", request, deadline)
        return hold_pb2.Hold(state=hold_pb2.HOLD_STATE_RELEASED)

    async def record(self, item, deadline):
        await self._note("record", item, deadline)
        saving = entry_pb2.Saving(cause=entry_pb2.SAVING_CAUSE_CACHE, saved_nanos=COST_NANOS)
        return entry_pb2.Entry(
            entry_id=item.attempt.entry_id, savings=[saving], counterfactual_nanos=COST_NANOS
        )

    async def budgets(self, tenant, deadline):
        await self._note("budgets", tenant, deadline)
        return self.kept_budgets

    async def resolve_key(self, secret, deadline):
        await self._note("resolve_key", secret, deadline)
        if secret != "sg_good":
            raise refusal(grpc.StatusCode.UNAUTHENTICATED, "KEY_INVALID")
        return key_pb2.Key(key_id="k1", tenant="acme", role=key_pb2.KEY_ROLE_CALLER)

    async def list_models(self, deadline, span):
        await self._note("list_models", None, deadline)
        return []

    def resolutions(self):
        """How each hold that was taken ended: hold id -> list of ways."""
        ways = {item.hold_id: [] for item in self.asked["reserve"]}
        for way in ("settle", "release"):
            for item in self.asked[way]:
                ways.setdefault(item.hold_id, []).append(way)
        return ways


def _candidate(model):
    return router_pb.Candidate(
        model=model,
        provider="fake",
        upstream_model=f"up-{model}",
        worst_case_nanos=5000,
        output_tokens_max=16,
    )
