"""Finds what is worth an alert: in new rows as they are followed, and as time goes by."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from opentelemetry import metrics
from sqlalchemy import Connection

from catalog.alerts import AlertsConfig, nanos_of
from catalog.money import usd_text
from services.ledger.alerts import sums
from services.ledger.alerts.store import AlertStore
from services.ledger.insight import alert, anomaly, forecast
from services.ledger.insight.alert import AlertKind, Raised
from services.ledger.insight.forecast import WEEK_US
from services.ledger.reading.follow import move_place, place_of
from services.ledger.rules.refusals import BooksUnavailable
from services.ledger.rules.values import MICROS_PER_SECOND, Entry
from services.ledger.rules.windows import DAY_US, HOUR_US, hour_start
from services.ledger.sql.database import Database

_log = logging.getLogger("ledger.alerts")
ANOMALY_PLACE = "anomalies"
# What was booked long ago, such as imported usage, is news to nobody.
NEWS_US = 2 * DAY_US
# Rows of an hour may be followed a moment after it.
GRACE_US = 120 * MICROS_PER_SECOND
HOURS_MAX = 48
FORECAST_WEEKS = 4

_alerts = metrics.get_meter("spendgate").create_counter(
    "spendgate.ledger.alerts", unit="{alert}", description="Alerts raised, by kind."
)


class Watch:
    """Raises alerts. `clock` gives microseconds since 1970."""

    def __init__(
        self, config: AlertsConfig, store: AlertStore, database: Database, clock: Callable[[], int]
    ) -> None:
        self._config = config
        self._store = store
        self._database = database
        self._clock = clock

    def take_over(self, config: AlertsConfig) -> None:
        """Other rules hold from now on."""
        self._config = config

    def on_rows(self, conn: Connection, entries: Sequence[Entry]) -> None:
        """Alerts about new rows, in the transaction that follows them."""
        now_us = self._clock()
        news = [entry for entry in entries if now_us - entry.book_us < NEWS_US]
        raised = [r for tenant in _tenants(news) for r in self._of_tenant(conn, tenant, news)]
        if news and self._config.budget_percents:
            for standing in sums.standings(conn, now_us, _tenants(news)):
                raised += alert.budget_marks(standing, self._config.budget_percents, now_us)
        self.keep(conn, raised)

    async def tick(self) -> None:
        """Alerts that come with time: hours unlike their past, budgets that will not last.

        Raises: BooksUnavailable.
        """
        raised, done_us, new_us = await self._database.read(self._over_time)

        def work(conn: Connection) -> None:
            # Another ledger that looked at the same hours found the same events.
            self.keep(conn, raised)
            if new_us != done_us:
                move_place(conn, ANOMALY_PLACE, done_us, new_us)

        if raised or new_us != done_us:
            await self._database.write(work)

    def keep(self, conn: Connection, raised: Sequence[Raised]) -> None:
        """Keeps what was not told before, in the transaction of `conn`."""
        if raised and self._store.write(conn, raised):
            for each in raised:
                _alerts.add(1, {"spendgate.alert.kind": each.kind.name.lower()})

    def _of_tenant(
        self, conn: Connection, tenant: str, entries: Sequence[Entry]
    ) -> Iterator[Raised]:
        limits = self._config.thresholds(tenant)
        hours = sorted({hour_start(e.book_us) for e in entries if e.attribution.tenant == tenant})
        if limits.request_usd is not None:
            yield from alert.dear_requests(entries, tenant, nanos_of(limits.request_usd))
        for hour_us in hours:
            cost, requests, errors = sums.period(conn, tenant, hour_us, hour_us + HOUR_US)
            if limits.hour_usd is not None:
                yield from self._dear(
                    conn,
                    tenant,
                    AlertKind.HOUR_COST,
                    hour_us,
                    cost_nanos=cost,
                    limit_nanos=nanos_of(limits.hour_usd),
                )
            if limits.error_percent is not None:
                yield from alert.error_rate(
                    tenant,
                    hour_us,
                    requests,
                    errors,
                    percent=limits.error_percent,
                    requests_min=self._config.error_requests_min,
                )
        if limits.day_usd is None:
            return
        for day_us in sorted({hour - hour % DAY_US for hour in hours}):
            cost, _, _ = sums.period(conn, tenant, day_us, day_us + DAY_US)
            yield from self._dear(
                conn,
                tenant,
                AlertKind.DAY_COST,
                day_us,
                cost_nanos=cost,
                limit_nanos=nanos_of(limits.day_usd),
            )

    def _dear(
        self,
        conn: Connection,
        tenant: str,
        kind: AlertKind,
        start_us: int,
        *,
        cost_nanos: int,
        limit_nanos: int,
    ) -> Iterator[Raised]:
        if cost_nanos <= limit_nanos:
            return
        length = HOUR_US if kind is AlertKind.HOUR_COST else DAY_US
        feature, nanos = sums.dearest_feature(conn, tenant, start_us, start_us + length)
        top = f"; most by feature {feature or '(none)'}: {usd_text(nanos)} USD"
        yield from alert.dear_period(
            tenant, kind, start_us, cost_nanos=cost_nanos, limit_nanos=limit_nanos, top=top
        )

    def _over_time(self, conn: Connection) -> tuple[list[Raised], int, int]:
        now_us = self._clock()
        raised: list[Raised] = []
        done_us = place_of(conn, ANOMALY_PLACE)
        new_us = done_us
        rule = self._config.anomaly
        if rule.enabled:
            for hour_us in anomaly.completed_hours(
                done_us, now_us, grace_us=GRACE_US, hours_max=HOURS_MAX
            ):
                past = anomaly.past_hours(hour_us, rule.weeks)
                for tenant in sums.tenants_of(conn, hour_us):
                    hour = sums.hour_with_past(conn, tenant, hour_us, past)
                    raised += anomaly.anomaly(
                        hour, deviations=rule.deviations, nanos_min=nanos_of(rule.usd_min)
                    )
                new_us = hour_us
        if self._config.budget_forecast:
            raised += self._forecasts(conn, now_us)
        return raised, done_us, new_us

    def _forecasts(self, conn: Connection, now_us: int) -> Iterator[Raised]:
        past: dict[str, dict[int, int]] = {}
        for standing in sums.standings(conn, now_us, None):
            if standing.rolling:
                # What it spends returns bit by bit: there is no end to tell of.
                continue
            tenant = standing.tenant
            if tenant not in past:
                start_us = now_us - FORECAST_WEEKS * WEEK_US
                past[tenant] = sums.past_costs(conn, tenant, start_us, hour_start(now_us))
            projected = forecast.projected_nanos(
                standing.settled_nanos, standing.span, now_us, past[tenant]
            )
            if projected is not None:
                yield from alert.budget_forecast(standing, projected, now_us)


async def watch_for_ever(watch: Watch, *, seconds: float) -> None:
    """Ticks every `seconds`."""
    while True:
        try:
            await watch.tick()
        except BooksUnavailable:
            _log.warning("the database does not answer; alerts wait")
        except Exception as error:
            _log.error("watching failed", extra={"error_type": type(error).__name__})
        await asyncio.sleep(seconds)


def _tenants(entries: Sequence[Entry]) -> list[str]:
    return sorted({entry.attribution.tenant for entry in entries})
