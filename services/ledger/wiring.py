"""Puts the ledger together: the only file that names concrete classes."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable

from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from catalog.fleet import load_fleet
from chassis.server import Outfit, Room
from services.ledger.errors import TABLE
from services.ledger.paging import PageTokens
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
    settings: LedgerSettings, outfit: Outfit, *, clock: Callable[[], int] = wall_clock
) -> Room:
    """The ledger over its database, which it prepares, with every lapsed hold let go.

    `clock` gives microseconds since 1970.
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

    async def stop_sweeping() -> None:
        for task in (sweep, months):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

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
    return Room(
        servicers=[(rpc.add_LedgerServiceServicer_to_server, LedgerServicer(desk))],
        service_names=[SERVICE_NAME],
        errors=TABLE,
        # In reverse: what is queued is written before the database is closed.
        cleanups=[
            ("database", database.close),
            ("sweep", stop_sweeping),
            ("writer", writer.close),
        ],
    )
