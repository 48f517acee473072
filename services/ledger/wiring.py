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
from services.ledger.rules.pricing import CatalogPrices
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
    fleet = await asyncio.to_thread(load_fleet, settings.config)
    database = open_database(settings.database_url, wait_seconds=settings.database_wait_seconds)
    # Embedded, the only ledger brings its tables up to date itself. On PostgreSQL others may be
    # at work on them: that is for the operator to time.
    alone = settings.migrate_at_start or is_embedded(settings.database_url)
    await database.prepare(upgrade if alone else require_newest)
    await database.write(lambda connection: make_months(connection, clock()))
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
    sweep = asyncio.create_task(
        sweep_for_ever(lambda: journal.transact(()), part, seconds=settings.sweep_seconds)
    )
    months = asyncio.create_task(
        keep_months_for_ever(
            lambda: database.write(lambda connection: make_months(connection, clock()))
        )
    )
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
    reading = _reading(settings, fleet, database, writer, clock=clock, environ=environ)
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
            ("sweep", partial(_stop, sweep, months)),
            ("webhooks", reading.deliverer.close),
            ("readers", partial(_stop, *reading.tasks)),
            ("writer", writer.close),
        ],
    )


@dataclass(frozen=True)
class _Reading:
    """What reads the books: its desk, its loops, what it delivers with."""

    desk: ReadingDesk
    tasks: Sequence["asyncio.Task[Any]"]
    deliverer: Deliverer

    async def let_watchers_go(self) -> None:
        self.desk.stopping.set()


def _reading(
    settings: LedgerSettings,
    fleet: Fleet,
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
        insights=Insights(database, fleet, CatalogPrices(fleet.book), clock),
        booked=Booked(database),
        names=Names(fleet),
        writer=writer,
        stopping=asyncio.Event(),
        pages=PageTokens(settings.key_pepper.get_secret_value().encode()),
        clock=clock,
    )
    return _Reading(desk, tasks, deliverer)


async def _stop(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
