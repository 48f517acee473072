"""Admits calls of busy callers out of slices of their budgets, without asking the ledger each time.

A slice is a lease of the ledger: set aside on every budget that applies, like a hold, so that a
limit is kept whoever admits. A caller is the exact attribution of its calls but for the session.
What a slice does not cover reserves as ever: the first calls of a caller, models it was not asked
for, what does not fit into what is left of it, the last twentieth of a budget.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf import duration_pb2
from opentelemetry import metrics
from spendgate.ledger.v1 import entry_pb2, hold_pb2, lease_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from catalog.ledger import LeasesConfig, WhenAway
from catalog.prices import PriceBook
from chassis.deadline import Deadline
from chassis.errors import RemoteError
from gateway.ports import Services
from gateway.saga.books import Books
from gateway.saga.slices import NOTHING, Need, Slice, models_of, need_of, used_of

CALLERS_MAX = 10_000
MODELS_MAX = 64
# What the ledger refused is asked for again no sooner.
PAUSE_SECONDS = 5.0
ASK_SECONDS_MAX = 5.0
TICK_SECONDS = 1.0
# Left of a slice, or of its time, when the next is asked for: one in so many.
RENEW_PART = 4
# Clocks do not run alike: a slice ends this part of its time early here.
DRIFT_PART = 100
# A lease must hold so many of the calls that asked for it.
LEAST_CALLS = 2

_admissions = metrics.get_meter("spendgate").create_counter(
    "spendgate.admissions", unit="{call}", description="Calls let in, by lease or by reservation."
)


class Admitted:
    """A call's place in a slice."""

    def __init__(
        self,
        of: Slice,
        item: ledger_pb.ReserveItem,
        need: Need,
        over: Callable[[Slice, str, Need | None], None],
    ) -> None:
        """`over` is told its slice, its id, and what it took; None while nobody knows."""
        self._of = of
        self._over = over
        self.hold = hold_pb2.Hold(
            hold_id=item.hold_id,
            held_nanos=need.nanos,
            state=hold_pb2.HOLD_STATE_PENDING,
            expire_time=of.lease.expire_time,
            tightest=of.lease.tightest if of.lease.HasField("tightest") else None,
        )
        self.draw = ledger_pb.LeaseDraw(
            lease=of.lease.name,
            request_id=item.request_id,
            attribution=item.attribution,
            worst_cases=item.worst_cases,
            hold_all=item.hold_all,
        )

    def settled(self, settlement: ledger_pb.Settlement | None) -> None:
        """The call was charged; None: the outbox has the charge and the ledger not yet."""
        used = None if settlement is None else used_of(settlement)
        self._over(self._of, self.hold.hold_id, used)

    def released(self) -> None:
        """The call took nothing."""
        self._over(self._of, self.hold.hold_id, NOTHING)


@dataclass(slots=True)
class _Caller:
    """What is known of a caller: how often it came, what it calls, its slice."""

    who: entry_pb2.Attribution
    lease_id: str
    models: dict[tuple[str, str], None] = field(default_factory=dict)
    epoch: int = 0
    slice: Slice | None = None
    asking: bool = False
    pause_until: float = 0.0
    calls: int = 0
    calls_since: float = 0.0


class Leases:
    """The slices that this gateway holds. Start it inside the running loop."""

    def __init__(
        self,
        services: Services,
        books: Books,
        book: PriceBook,
        config: LeasesConfig,
        *,
        call_seconds: float,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`call_seconds`: how long a call that was admitted may last, its charge included; `clock`
        gives seconds that never go back."""
        self._services = services
        self._books = books
        self._book = book
        self._config = config
        self._call_seconds = call_seconds
        self._new_id = new_id
        self._now = now
        self._clock = clock
        self._callers: OrderedDict[bytes, _Caller] = OrderedDict()
        # Over, but not all of it resolved yet.
        self._ending: list[Slice] = []
        self._away = False
        self._draining = False
        self._tending: asyncio.Task[None] | None = None

    def take_over(self, book: PriceBook) -> None:
        """Prices change: slices under the old ones admit no more of what they price otherwise."""
        self._book = book

    def admit(self, item: ledger_pb.ReserveItem) -> Admitted | None:
        """The call's place in its caller's slice; None when it must reserve."""
        caller = self._callers.get(_key(item.attribution))
        if caller is None or caller.slice is None or item.downgraded or self._draining:
            return None
        of, now = caller.slice, self._clock()
        if now >= of.until or now + item.hold_duration.seconds > of.ends or self._shut(of):
            return None
        need = need_of(self._book, item, of.versions, self._now())
        if need is None or not of.admit(item.hold_id, need):
            # Does not fit: another slice may be larger.
            self._ask(caller, need)
            return None
        _admissions.add(1, {"spendgate.admission.by": "lease"})
        if self._runs_out(of, now):
            self._ask(caller, need)
        return Admitted(of, item, need, self._call_over)

    def reserved(self, item: ledger_pb.ReserveItem) -> None:
        """A call was let in by a reservation: its caller may be worth a slice."""
        self.ledger_is(False)
        _admissions.add(1, {"spendgate.admission.by": "reservation"})
        if not self._config.enabled or self._draining:
            return
        caller, now = self._caller(item.attribution), self._clock()
        if now - caller.calls_since > self._config.seconds:
            caller.calls, caller.calls_since = 0, now
        caller.calls += 1
        for each in models_of(item):
            if len(caller.models) < MODELS_MAX:
                caller.models.setdefault(each)
        if caller.calls >= self._config.calls_before:
            versions = {
                (case.model, case.provider): self._version(case.model) for case in item.worst_cases
            }
            self._ask(caller, need_of(self._book, item, versions, self._now()))

    def ledger_is(self, away: bool) -> None:  # a callback
        """Whether the ledger did not answer."""
        self._away = away

    def start(self) -> None:
        """Gives back from now on what is over, until it is closed."""
        self._tending = asyncio.create_task(self._tend())

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Gives back what is over and resolved, and ends what nobody renewed."""
        now = self._clock()
        for caller in self._callers.values():
            if caller.slice is not None and now >= caller.slice.until:
                self._end(caller.slice)
                caller.slice = None
        self._ending = [each for each in self._ending if not self._resolved(each)]

    async def close(self) -> None:
        """Lets nobody in any more and gives back all that no charge on its way needs."""
        self._draining = True
        if self._tending is not None:
            self._tending.cancel()
        for caller in self._callers.values():
            if caller.slice is not None:
                self._end(caller.slice)
                caller.slice = None
        await self._books.drain()
        self.tick()
        await self._books.drain()

    def _call_over(self, of: Slice, hold_id: str, used: Need | None) -> None:
        if used is None:
            self.ledger_is(True)
        elif used != NOTHING:
            self.ledger_is(False)
        of.over(hold_id, used)
        if of in self._ending and self._resolved(of):
            self._ending.remove(of)

    def _shut(self, of: Slice) -> bool:
        refused = self._config.hard_when_away is WhenAway.REFUSE
        return self._away and of.lease.hard and refused

    def _runs_out(self, of: Slice, now: float) -> bool:
        whole = of.lease.granted
        low = any(
            left * RENEW_PART < granted
            for left, granted in zip(
                of.left, (whole.nanos, whole.tokens, whole.requests), strict=True
            )
        )
        return low or (of.until - now) * RENEW_PART < of.lease.admit_duration.seconds

    def _caller(self, who: entry_pb2.Attribution) -> _Caller:
        key = _key(who)
        caller = self._callers.get(key)
        if caller is None:
            whose = entry_pb2.Attribution()
            whose.CopyFrom(who)
            whose.session = ""
            caller = self._callers[key] = _Caller(whose, self._new_id())
            if len(self._callers) > CALLERS_MAX:
                _, gone = self._callers.popitem(last=False)
                if gone.slice is not None:
                    self._end(gone.slice)
        self._callers.move_to_end(key)
        return caller

    def _ask(self, caller: _Caller, need: Need | None) -> None:
        """Asks for the next slice, unless one was asked for or refused a moment ago."""
        if need is None or caller.asking or self._draining:
            return
        if self._clock() < caller.pause_until:
            return
        caller.asking = True
        caller.epoch += 1
        self._books.spawn(self._acquire(caller, need))

    async def _acquire(self, caller: _Caller, need: Need) -> None:
        name = lease_pb2.LeaseName(lease_id=caller.lease_id, epoch=caller.epoch)
        request = self._request(caller, name, need)
        # From before it is asked for: the ledger's own time cannot have begun earlier.
        began = self._clock()
        try:
            lease = await self._services.acquire_lease(request, Deadline.after(ASK_SECONDS_MAX))
        except Exception as error:
            caller.pause_until = self._clock() + PAUSE_SECONDS
            caller.asking = False
            if isinstance(error, RemoteError) and error.reason in {
                "LEASE_REFUSED",
                "LEASE_FENCED",
                "MODEL_UNPRICED",
            }:
                return
            # The ledger may have granted it all the same.
            await self._return(name, caller.who.tenant, NOTHING)
            return
        caller.asking = False
        seconds = lease.admit_duration.ToTimedelta().total_seconds()
        granted = lease.granted
        made = Slice(
            lease=lease,
            tenant=caller.who.tenant,
            left=Need(granted.nanos, granted.tokens, granted.requests),
            until=began + seconds * (1 - 1 / DRIFT_PART),
            ends=began + seconds + self._call_seconds,
        )
        if caller.slice is not None:
            self._end(caller.slice)
        caller.slice = made
        if self._draining:
            self._end(made)
            caller.slice = None

    def _request(
        self, caller: _Caller, name: lease_pb2.LeaseName, need: Need
    ) -> ledger_pb.AcquireLeaseRequest:
        calls = self._config.calls
        return ledger_pb.AcquireLeaseRequest(
            lease=name,
            attribution=caller.who,
            models=[
                lease_pb2.LeasedModel(model=model, provider=provider)
                for model, provider in caller.models
            ],
            wanted=_amounts(Need(*(each * calls for each in need))),
            least=_amounts(Need(*(each * LEAST_CALLS for each in need))),
            admit_duration=_duration(self._config.seconds),
            call_duration=_duration(self._call_seconds),
        )

    def _end(self, of: Slice) -> None:
        """Nothing more is admitted; what no call under way needs goes back at once."""
        if of.untold:
            # The outbox still has a charge that draws on it: it lapses by itself.
            return
        self._books.spawn(self._return(of.lease.name, of.tenant, of.keep()))
        if of.under_way:
            self._ending.append(of)

    def _resolved(self, of: Slice) -> bool:
        """Whether an ended slice is dealt with: returned, or left to lapse by itself."""
        if of.untold or self._clock() >= of.ends:
            return True
        if of.under_way:
            return False
        self._books.spawn(self._return(of.lease.name, of.tenant, NOTHING))
        return True

    async def _return(self, name: lease_pb2.LeaseName, tenant: str, keep: Need) -> None:
        request = ledger_pb.ReturnLeaseRequest(lease=name, tenant=tenant, keep=_amounts(keep))
        # If even that fails the lease lapses by itself.
        with contextlib.suppress(Exception):
            await self._services.return_lease(request, Deadline.after(ASK_SECONDS_MAX))

    def _version(self, model: str) -> str:
        try:
            return self._book.price(model, self._now()).version
        except Exception:
            return ""


def _key(who: entry_pb2.Attribution) -> bytes:
    bare = entry_pb2.Attribution()
    bare.CopyFrom(who)
    bare.session = ""
    return bare.SerializeToString(deterministic=True)


def _amounts(need: Need) -> lease_pb2.LeaseAmounts:
    return lease_pb2.LeaseAmounts(nanos=need.nanos, tokens=need.tokens, requests=need.requests)


def _duration(seconds: float) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=max(1, min(3600, round(seconds))))
