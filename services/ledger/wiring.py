"""Puts the ledger together: the only file that names concrete classes."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc
from spendgate.ledger.v1 import reading_service_pb2_grpc as reading_rpc

from catalog.fleet import Fleet, load_fleet
from chassis.live import Live
from chassis.server import Outfit, Room
from services.ledger.alerts.budget_events import BudgetEvents, follow_budget_events
from services.ledger.alerts.deliver import Deliverer, deliver_for_ever, targets
from services.ledger.alerts.store import AlertStore
from services.ledger.alerts.watch import Watch, watch_for_ever
from services.ledger.errors import TABLE
from services.ledger.paging import PageTokens
from services.ledger.reading.booked import Booked, Names
from services.ledger.reading.breakdown import BreakdownStore
from services.ledger.reading.export import ExportStore
from services.ledger.reading.follow import Follower, follow_for_ever
from services.ledger.reading.insights import Insights
from services.ledger.reading.servicer import ReadingDesk, ReadingServicer
from services.ledger.repricing import Repricing
from services.ledger.rules.pricing import CatalogPrices, Prices
from services.ledger.servicer import Desk, LedgerServicer
from services.ledger.settings import LedgerSettings
from services.ledger.sql.budgets import BudgetStore
from services.ledger.sql.database import Database, RevisionConflict
from services.ledger.sql.journal import Journal
from services.ledger.sql.keys import KeyStore
from services.ledger.sql.migrations.steps import require_newest, upgrade
from services.ledger.sql.partitions import make_months
from services.ledger.sql.postgres import PostgresDatabase
from services.ledger.sql.reports import ReportStore
from services.ledger.sql.sqlite import SqliteDatabase
from services.ledger.sweep import keep_months_for_ever, sweep_for_ever
from services.ledger.verify import verify
from services.ledger.writer import GroupCommit

SERVICE_NAME = "spendgate.ledger.v1.LedgerService"
READING_SERVICE_NAME = "spendgate.ledger.v1.ReadingService"


def wall_clock() -> int:
    """Microseconds since 1970: the clock of windows, holds and entries."""
    return time.time_ns() // 1000


def is_embedded(url: str) -> bool:
    """True when the books are a file of this ledger's own."""
    return not url.startswith("postgresql")


def open_database(url: str, *, wait_seconds: float) -> Database:
    """The database that `url` names, not yet reached. Raises: BooksNotOpened."""
    if is_embedded(url):
        return SqliteDatabase(url, wait_seconds=wait_seconds)
    return PostgresDatabase(url, wait_seconds=wait_seconds)


async def build(
    settings: LedgerSettings,
    outfit: Outfit,
    *,
    clock: Callable[[], int] = wall_clock,
    environ: Mapping[str, str] | None = None,
) -> Room:
    """The ledger over its database, which it prepares, with every lapsed hold let go.

    `clock` gives microseconds since 1970; `environ` holds what webhooks need, by default the
    process's own.
    Raises: ConfigError for the fleet file; BooksNotOpened; BooksUnavailable.
    """
    live = _live_fleet(settings, outfit)
    fleet = await live.open()
    database = open_database(settings.database_url, wait_seconds=settings.database_wait_seconds)
    # Embedded, the only ledger brings its tables up to date itself. On PostgreSQL others may be
    # at work on them: that is for the operator to time.
    alone = settings.migrate_at_start or is_embedded(settings.database_url)
    await database.prepare(upgrade if alone else require_newest)
    await _make_months(database, clock)
    prices = CatalogPrices(fleet.book)
    journal = Journal(database, prices, clock)
    await journal.transact(())
    part = outfit.health.part("books")
    part.ok()
    writer = GroupCommit(
        journal.transact,
        conflict=RevisionConflict,
        batch_commands_max=settings.batch_commands_max,
    )
    sweeping = sweep_for_ever(lambda: journal.transact(()), part, seconds=settings.sweep_seconds)
    sweep = asyncio.create_task(sweeping)
    months = asyncio.create_task(keep_months_for_ever(partial(_make_months, database, clock)))
    pepper = settings.key_pepper.get_secret_value().encode()
    desk = Desk(
        writer=writer,
        budgets=BudgetStore(database, clock),
        keys=KeyStore(database, clock, pepper=pepper, random_bytes=secrets.token_bytes),
        reports=ReportStore(database),
        repricing=Repricing(database, prices, writer),
        verify=lambda: verify(database),
        pages=PageTokens(pepper),
        clock=clock,
    )
    reading = _reading(settings, fleet, prices, database, writer, clock=clock, environ=environ)
    live.on_change(lambda changed: prices.take_over(changed.book, clock()))
    live.on_change(reading.take_over)
    reader = asyncio.create_task(live.watch(settings.reload_seconds))
    return Room(
        servicers=[
            (rpc.add_LedgerServiceServicer_to_server, LedgerServicer(desk)),
            (reading_rpc.add_ReadingServiceServicer_to_server, ReadingServicer(reading.desk)),
        ],
        service_names=[SERVICE_NAME, READING_SERVICE_NAME],
        errors=TABLE,
        drains=[("watchers", reading.let_watchers_go)],
        # In reverse: what is queued is written before the database is closed.
        cleanups=[
            ("database", database.close),
            ("sweep", partial(_stop, sweep, months, reader)),
            ("webhooks", reading.deliverer.close),
            ("readers", partial(_stop, *reading.tasks)),
            ("writer", writer.close),
        ],
        reload=live.reload_soon,
    )


async def _make_months(database: Database, clock: Callable[[], int]) -> None:
    await database.write(lambda connection: make_months(connection, clock()))


def _live_fleet(settings: LedgerSettings, outfit: Outfit) -> Live[Fleet]:
    async def load() -> Fleet:
        return await asyncio.to_thread(load_fleet, settings.config)

    files = [settings.config] if settings.config is not None else []
    return Live(load, lambda _: files, outfit.health.part("prices"))


@dataclass(frozen=True)
class _Reading:
    """What reads the books: its desk, its loops, what it delivers with."""

    desk: ReadingDesk
    tasks: Sequence["asyncio.Task[Any]"]
    deliverer: Deliverer
    watch: Watch

    def take_over(self, fleet: Fleet) -> None:
        """Another fleet file holds. Webhooks are those of the start: each has a loop of its own."""
        self.desk.insights.take_over(fleet)
        self.desk.names.take_over(fleet)
        self.watch.take_over(fleet.config.alerts)

    async def let_watchers_go(self) -> None:
        self.desk.stopping.set()


def _reading(
    settings: LedgerSettings,
    fleet: Fleet,
    prices: Prices,
    database: Database,
    writer: GroupCommit,
    *,
    clock: Callable[[], int],
    environ: Mapping[str, str] | None,
) -> _Reading:
    alerts = fleet.config.alerts
    posts = targets(alerts.webhooks, os.environ if environ is None else environ)
    kept = AlertStore(database, alerts.webhooks, clock)
    watch = Watch(alerts, kept, database, clock)
    follower = Follower(database, clock, watch.on_rows)
    deliverer = Deliverer(
        kept, clock, secrets.SystemRandom().random, give_up_seconds=alerts.give_up_seconds
    )
    often = settings.follow_seconds
    tasks = [
        asyncio.create_task(work)
        for work in (
            follow_for_ever(follower, seconds=often),
            watch_for_ever(watch, seconds=settings.watch_seconds),
            follow_budget_events(BudgetEvents(database, watch, clock), seconds=often),
            *(deliver_for_ever(deliverer, post, seconds=often) for post in posts),
        )
    ]
    desk = ReadingDesk(
        breakdowns=BreakdownStore(database),
        exports=ExportStore(database),
        follower=follower,
        alerts=kept,
        insights=Insights(database, fleet, prices, clock),
        booked=Booked(database),
        names=Names(fleet),
        writer=writer,
        stopping=asyncio.Event(),
        pages=PageTokens(settings.key_pepper.get_secret_value().encode()),
        clock=clock,
    )
    return _Reading(desk, tasks, deliverer, watch)


async def _stop(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
