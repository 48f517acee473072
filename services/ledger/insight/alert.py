"""What an alert says, and when numbers are worth one. Every event has a key: it is told once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from catalog.money import usd_text
from services.ledger.rules.values import BudgetUnit, Entry, EventKind
from services.ledger.rules.windows import Span, hour_start, to_datetime

PERMILLE = 1000
PERCENT = 100


class AlertKind(IntEnum):
    """What an alert is about. The numbers of the contract."""

    REQUEST_COST = 1
    HOUR_COST = 2
    DAY_COST = 3
    ERROR_RATE = 4
    BUDGET_USED = 5
    BUDGET_FORECAST = 6
    ANOMALY = 7
    BUDGET_OVERAGE = 8
    BUDGET_BROKEN = 9
    BUDGET_SHADOW = 10


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert as it is raised. `observed` and `threshold` are nano-USD, or thousandths for an
    error rate, or in the unit that `subject` names under "unit"; `event_key` is unlike that of any
    other event of the tenant."""

    tenant: str
    kind: AlertKind
    event_key: str
    title: str
    reason: str
    observed: int
    threshold: int
    event_us: int
    subject: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a budget of money stands in its window. `subject` names one of the values that it has
    a limit for each of; "" of a budget with one limit. A `rolling` window never starts anew:
    `span` only says once in which time its marks are told."""

    tenant: str
    budget_id: str
    number: int
    limit_nanos: int
    settled_nanos: int
    span: Span
    subject: str = ""
    rolling: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.budget_id} ({self.subject})" if self.subject else self.budget_id

    def event_key(self, what: str) -> str:
        """Of an event of this window."""
        told = f"{what}/{self.number}/{self.span.start_us}"
        return f"{told}/{self.subject}" if self.subject else told


@dataclass(frozen=True, slots=True)
class BrokenBudget:
    """What happened to a budget. `amount`: how far a charge went beyond what was held, or what a
    request needed, in `unit`; `subject` as in Standing."""

    kind: EventKind
    tenant: str
    budget_id: str
    number: int
    window_start_us: int
    subject: str
    unit: BudgetUnit
    amount: int
    limit_amount: int
    request_id: str
    event_us: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.budget_id} ({self.subject})" if self.subject else self.budget_id

    def told(self, amount: int) -> str:
        """An amount in the budget's unit, for people."""
        if self.unit is BudgetUnit.NANO_USD:
            return f"{usd_text(amount)} USD"
        return f"{amount:,} {self.unit.name.lower()}"


_BROKEN = {
    EventKind.SOFT: (AlertKind.BUDGET_BROKEN, "is broken", "it is soft: requests go on"),
    EventKind.DOWNGRADED: (
        AlertKind.BUDGET_BROKEN,
        "is broken",
        "requests go on with the cheapest model that can do them",
    ),
    EventKind.SHADOW: (
        AlertKind.BUDGET_SHADOW,
        "would refuse requests",
        "it is a shadow: they go on",
    ),
}


def budget_event(event: BrokenBudget) -> Iterator[Raised]:
    """An overage, once an hour and budget; that a budget is broken, once a window."""
    subject = {"budget_id": event.budget_id, "request_id": event.request_id}
    if event.unit is not BudgetUnit.NANO_USD:
        subject["unit"] = event.unit.name.lower()
    whose = f"{event.number}/{event.subject}"
    if event.kind in _BROKEN:
        kind, what, why = _BROKEN[event.kind]
        key = f"{event.kind.name.lower()}/{whose}/{event.window_start_us}"
        title = f"Budget {event.name} {what}"
        reason = f"request {event.request_id} may take {event.told(event.amount)}; {why}"
        observed, threshold = event.amount, event.limit_amount
    else:
        late = event.kind is EventKind.LATE
        kind, hour_us = AlertKind.BUDGET_OVERAGE, hour_start(event.event_us)
        key = f"{event.kind.name.lower()}/{whose}/{hour_us}"
        beyond = "nothing was set aside for any more" if late else "beyond what was set aside"
        title = f"Budget {event.name} was charged {event.told(event.amount)} {beyond}"
        reason = f"by request {event.request_id}; others of this hour are not told again"
        observed, threshold = event.amount, 0
    limit = f"; the limit is {event.told(event.limit_amount)}"
    yield Raised(
        event.tenant,
        kind,
        key,
        title,
        reason + limit,
        observed,
        threshold,
        event.event_us,
        subject,
    )


def dear_requests(entries: Sequence[Entry], tenant: str, limit_nanos: int) -> Iterator[Raised]:
    """Requests of new rows that cost more than the limit, all their rows together."""
    rows: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.attribution.tenant == tenant:
            rows.setdefault(entry.request_id, []).append(entry)
    for request_id, found in rows.items():
        cost = sum(entry.cost_nanos for entry in found)
        if cost <= limit_nanos:
            continue
        dearest = max(found, key=lambda entry: entry.cost_nanos)
        who, model = dearest.attribution, dearest.attempt.model_used
        subject = {"request_id": request_id, "model": model}
        subject |= {"feature": who.feature} if who.feature else {}
        subject |= {"user": who.user} if who.user else {}
        yield Raised(
            tenant,
            AlertKind.REQUEST_COST,
            f"request/{request_id}",
            f"A request cost {usd_text(cost)} USD",
            f"the threshold is {usd_text(limit_nanos)} USD; {len(found)} attempts, the dearest by"
            f" {model}",
            cost,
            limit_nanos,
            dearest.book_us,
            subject,
        )


def dear_period(
    tenant: str,
    kind: AlertKind,
    start_us: int,
    *,
    cost_nanos: int,
    limit_nanos: int,
    top: str,
) -> Iterator[Raised]:
    """An hour or a day that costs more than the limit."""
    if cost_nanos <= limit_nanos:
        return
    hour = kind is AlertKind.HOUR_COST
    when = to_datetime(start_us).strftime("%Y-%m-%d %H:00" if hour else "%Y-%m-%d")
    yield Raised(
        tenant,
        kind,
        f"{'hour' if hour else 'day'}/{start_us}",
        f"The {'hour' if hour else 'day'} {when} UTC cost {usd_text(cost_nanos)} USD so far",
        f"the threshold is {usd_text(limit_nanos)} USD{top}",
        cost_nanos,
        limit_nanos,
        start_us,
    )


def error_rate(
    tenant: str, hour_us: int, requests: int, errors: int, *, percent: int, requests_min: int
) -> Iterator[Raised]:
    """An hour in which too many requests fail."""
    if requests < requests_min or errors * PERCENT <= requests * percent:
        return
    rate = errors * PERMILLE // requests
    yield Raised(
        tenant,
        AlertKind.ERROR_RATE,
        f"errors/{hour_us}",
        f"{rate // 10}.{rate % 10} % of the requests of the hour"
        f" {to_datetime(hour_us):%Y-%m-%d %H:00} UTC failed",
        f"{errors} of {requests} so far; the threshold is {percent} %",
        rate,
        percent * 10,
        hour_us,
    )


def budget_marks(standing: Standing, percents: Sequence[int], now_us: int) -> Iterator[Raised]:
    """The marks of a budget that are used up, each once a window."""
    for percent in sorted(percents):
        mark = standing.limit_nanos * percent // PERCENT
        if standing.settled_nanos < mark or standing.settled_nanos == 0:
            continue
        until = _until(standing)
        yield Raised(
            standing.tenant,
            AlertKind.BUDGET_USED,
            standing.event_key(f"budget/{percent}"),
            f"Budget {standing.name} is used to {percent} %",
            f"{usd_text(standing.settled_nanos)} of {usd_text(standing.limit_nanos)} USD are"
            f" spent{until}",
            standing.settled_nanos,
            mark,
            now_us,
            {"budget_id": standing.budget_id, "percent": str(percent)},
        )


def budget_forecast(standing: Standing, projected_nanos: int, now_us: int) -> Iterator[Raised]:
    """That a budget will be used up before its window ends, once a window."""
    if projected_nanos <= standing.limit_nanos or standing.settled_nanos >= standing.limit_nanos:
        return
    yield Raised(
        standing.tenant,
        AlertKind.BUDGET_FORECAST,
        standing.event_key("forecast"),
        f"Budget {standing.name} will not last",
        f"{usd_text(standing.settled_nanos)} of {usd_text(standing.limit_nanos)} USD are spent;"
        f" at this pace it will be {usd_text(projected_nanos)} USD{_until(standing)}",
        projected_nanos,
        standing.limit_nanos,
        now_us,
        {"budget_id": standing.budget_id},
    )


def _until(standing: Standing) -> str:
    end_us = standing.span.end_us
    if end_us is None or standing.rolling:
        return ""
    return f"; it starts anew at {to_datetime(end_us):%Y-%m-%d %H:%M} UTC"
