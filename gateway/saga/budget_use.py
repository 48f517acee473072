"""How much of a caller's tightest budget is used, for the `budget` policy.

What the ledger said with its last hold or settlement of the caller, at most
BUDGET_SECONDS_MAX old; older or not known, the ledger is asked once, early in the request. So a
choice may stand on a state up to that old: a limit itself is kept by the hold, which is not.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spendgate.ledger.v1 import budget_pb2, entry_pb2, hold_pb2

from chassis.deadline import Deadline
from gateway.ports import Services

BUDGET_SECONDS_MAX = 60.0
LOOK_UP_SECONDS_MAX = 0.25
CALLERS_MAX = 20_000
USED_PERCENT_MAX = 1_000

Caller = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """Percent of the tightest budget that is used, None when no budget applies; as of when."""

    percent: int | None
    seconds: float


class BudgetUse:
    """By caller: tenant, project, user, key and feature."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._services = services
        self._clock = clock
        self._uses: OrderedDict[Caller, Use] = OrderedDict()

    def note(self, who: entry_pb2.Attribution, tightest: hold_pb2.BudgetLeft | None) -> None:
        """The ledger said what is left."""
        percent = None
        if tightest is not None:
            percent = used_percent(tightest.left_nanos, tightest.limit_nanos)
        self._keep(who, percent)

    async def percent(self, who: entry_pb2.Attribution, deadline: Deadline) -> int | None:
        """0 to USED_PERCENT_MAX. None: no budget applies, or the ledger did not say.

        A ledger that is slow or away never fails a request here: the last known is taken.
        """
        known = self._uses.get(_caller(who))
        if known is not None and self._clock() - known.seconds <= BUDGET_SECONDS_MAX:
            return known.percent
        try:
            budgets = await self._services.budgets(who.tenant, deadline.sooner(LOOK_UP_SECONDS_MAX))
        except Exception:
            return known.percent if known is not None else None
        percent = tightest_percent(who, budgets)
        self._keep(who, percent)
        return percent

    def _keep(self, who: entry_pb2.Attribution, percent: int | None) -> None:
        place = _caller(who)
        self._uses[place] = Use(percent, self._clock())
        self._uses.move_to_end(place)
        while len(self._uses) > CALLERS_MAX:
            self._uses.popitem(last=False)


def used_percent(left_nanos: int, limit_nanos: int) -> int:
    """How much of a limit is used, spent and set aside together, rounded down."""
    if limit_nanos <= 0:
        return USED_PERCENT_MAX
    used = limit_nanos - left_nanos
    return min(max(0, used * 100 // limit_nanos), USED_PERCENT_MAX)


def tightest_percent(
    who: entry_pb2.Attribution, budgets: Sequence[budget_pb2.Budget]
) -> int | None:
    """The use of the budget with the least left of those that apply to `who`."""
    applying = [each for each in budgets if _applies(each.scope, who)]
    if not applying:
        return None
    left, _, limit = min(
        (b.limit_nanos - b.settled_nanos - b.reserved_nanos, b.budget_id, b.limit_nanos)
        for b in applying
    )
    return used_percent(left, limit)


def _applies(scope: budget_pb2.BudgetScope, who: entry_pb2.Attribution) -> bool:
    return (
        scope.tenant == who.tenant
        and scope.project in ("", who.project)
        and scope.user in ("", who.user)
        and scope.key_id in ("", who.key_id)
        and scope.feature in ("", who.feature)
    )


def _caller(who: entry_pb2.Attribution) -> Caller:
    return who.tenant, who.project, who.user, who.key_id, who.feature
