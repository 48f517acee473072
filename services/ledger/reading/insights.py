"""Insights over a period: the sums from the books, what is known of models, the conclusions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from catalog.fleet import Fleet
from catalog.published import Published
from services.ledger.insight import anatomy, opportunities, review
from services.ledger.insight.facts import MONTH_US, Facts, Model, Use
from services.ledger.insight.opportunity import Opportunity
from services.ledger.reading import models, prompts, uses
from services.ledger.reading.columns import rows_between
from services.ledger.reading.slices import slices
from services.ledger.rules.pricing import Prices
from services.ledger.rules.values import BudgetWindow, SavingCause
from services.ledger.rules.windows import DAY_US, to_datetime, window_at
from services.ledger.sql import schema
from services.ledger.sql.database import Database

DEDICATED_MONTH_NANOS = 1_500 * 10**9
SAMPLES_MAX = 20
_entry = schema.entry
_rollup = schema.rollup_hour


@dataclass(frozen=True, slots=True)
class Found:
    """Opportunities of a period, what it cost, what could not be looked for."""

    opportunities: Sequence[Opportunity]
    cost_nanos: int
    lacking: Sequence[str]


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Parts that add up to the cost, and how many calls were counted by segment."""

    parts: Sequence[tuple[str, int]]
    cost_nanos: int
    calls: int
    segmented_calls: int


@dataclass(frozen=True, slots=True)
class Month:
    """What was spent in a month, and saved by cause. `days_us`: how much of it has passed."""

    features: Mapping[str, review.Spent]
    saved: Mapping[SavingCause, int]
    cost_nanos: int
    requests: int
    days_us: int


@dataclass(frozen=True, slots=True)
class Review:
    """A month against the one before."""

    start_us: int
    now: Month
    before: Month
    changes: Sequence[review.Change]
    outcomes: Sequence[review.Outcome]
    opportunities: Sequence[Opportunity]
    anatomy: Anatomy


class Insights:
    """Conclusions from the books. Every method raises BooksUnavailable."""

    def __init__(
        self, database: Database, fleet: Fleet, prices: Prices, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._prices = prices
        self._clock = clock
        self._published: Published | None = None

    def take_over(self, fleet: Fleet) -> None:
        """Conclusions are drawn from `fleet` from now on."""
        self._fleet = fleet

    async def opportunities(
        self, tenant: str, start_us: int, end_us: int, dedicated_nanos: int
    ) -> Found:
        """What could be saved, from a period's rows."""
        facts = await self._database.read(lambda c: self._facts(c, tenant, start_us, end_us))
        found = opportunities.opportunities(facts, dedicated_nanos or DEDICATED_MONTH_NANOS)
        return Found(found, facts.cost_nanos, opportunities.lacking(facts))

    async def anatomy(self, tenant: str, start_us: int, end_us: int, feature: str) -> Anatomy:
        """Where a period's money went."""

        def work(conn: Connection) -> Anatomy:
            here = list(rows_between(conn, tenant, start_us, end_us))
            if feature:
                here.append(_entry.c.feature == feature)
            found = slices(conn, here, self._prices.newest())
            cost = conn.execute(select(func.sum(_entry.c.cost_nanos)).where(*here)).scalar()
            return Anatomy(
                anatomy.anatomy(found),
                int(cost or 0),
                sum(each.calls for each in found),
                sum(each.segmented_calls for each in found),
            )

        return await self._database.read(work)

    async def review(self, tenant: str, at_us: int) -> Review:
        """The month that `at_us` lies in, against the one before."""
        span = window_at(BudgetWindow.MONTH, at_us)
        last = window_at(BudgetWindow.MONTH, span.start_us - DAY_US)
        end_us = min(span.end_us or at_us, self._clock() + 1)
        now = await self._month(tenant, span.start_us, end_us)
        before = await self._month(tenant, last.start_us, span.start_us)
        found = await self.opportunities(tenant, span.start_us, end_us, 0)
        found_before = await self.opportunities(tenant, last.start_us, span.start_us, 0)
        requests = {
            feature: (_monthly(now, feature), _monthly(before, feature))
            for feature in now.features.keys() | before.features.keys()
        }
        return Review(
            span.start_us,
            now,
            before,
            review.changes(now.features, before.features),
            review.outcomes(found_before.opportunities, found.opportunities, requests),
            found.opportunities,
            await self.anatomy(tenant, span.start_us, end_us, ""),
        )

    def _facts(self, conn: Connection, tenant: str, start_us: int, end_us: int) -> Facts:
        here = rows_between(conn, tenant, start_us, end_us)
        first, cost, hashed, near = conn.execute(
            select(
                func.min(_entry.c.book_us),
                func.sum(_entry.c.cost_nanos),
                func.count(_entry.c.prompt_hash),
                func.count(_entry.c.near_hash),
            ).where(*here)
        ).one()
        if first is None:
            return Facts(span_us=DAY_US, cost_nanos=0)
        found = uses.uses(conn, here)
        at = to_datetime(end_us)
        return Facts(
            span_us=end_us - max(start_us, first - first % DAY_US),
            cost_nanos=int(cost or 0),
            uses=found,
            repeats=prompts.repeats(conn, here) if hashed else (),
            near=prompts.near(conn, here) if near else (),
            static=prompts.static(conn, here) if hashed else (),
            grown=prompts.grown(conn, here),
            users=prompts.users(conn, here),
            models=models.configured_models(self._fleet, at),
            published=self._newer(found, at),
            hashed_calls=hashed,
            near_calls=near,
            sample={
                (use.feature, use.model): uses.sample(conn, here, use.feature, use.model)
                for use in found[:SAMPLES_MAX]
            },
        )

    def _newer(self, found: Sequence[Use], at: datetime) -> Mapping[str, Sequence[Model]]:
        if not found:
            return {}
        # The catalogue takes a fifth of a second to load; most ledgers are never asked.
        if self._published is None:
            self._published = Published()
        return models.published_models(self._fleet, self._published, at)

    async def _month(self, tenant: str, start_us: int, end_us: int) -> Month:
        def work(conn: Connection) -> Month:
            here = (
                _rollup.c.tenant == tenant,
                _rollup.c.hour_us >= start_us,
                _rollup.c.hour_us < end_us,
            )
            cost, requests = func.sum(_rollup.c.cost_nanos), func.sum(_rollup.c.request_count)
            saved = [func.sum(_rollup.c[name]) for name in schema.SAVED_COLUMNS]
            first = conn.execute(select(func.min(_rollup.c.hour_us)).where(*here)).scalar()
            whole = conn.execute(select(*saved).where(*here)).one()
            rows = conn.execute(
                select(_rollup.c.feature, requests, cost).where(*here).group_by(_rollup.c.feature)
            )
            features = {
                feature: review.Spent(int(count), int(nanos)) for feature, count, nanos in rows
            }
            return Month(
                features,
                {cause: int(n or 0) for cause, n in zip(SavingCause, whole, strict=True)},
                sum(spent.cost_nanos for spent in features.values()),
                sum(spent.requests for spent in features.values()),
                end_us - (start_us if first is None else max(start_us, first)),
            )

        return await self._database.read(work)


def _monthly(month: Month, feature: str) -> int:
    """A feature's requests as those of 30 days."""
    spent = month.features.get(feature)
    return spent.requests * MONTH_US // max(month.days_us, DAY_US) if spent else 0
