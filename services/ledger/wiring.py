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
from services.ledger.sql.database import RevisionConflict
from services.ledger.sql.journal import Journal
from services.ledger.sql.keys import KeyStore
from services.ledger.sql.reports import ReportStore
from services.ledger.sql.schema import metadata
from services.ledger.sql.sqlite import SqliteDatabase
from services.ledger.sweep import sweep_for_ever
from services.ledger.verify import verify
from services.ledger.writer import GroupCommit

SERVICE_NAME = "spendgate.ledger.v1.LedgerService"


def wall_clock() -> int:
    """Microseconds since 1970: the clock of windows, holds and entries."""
    return time.time_ns() // 1000


async def build(
    settings: LedgerSettings, outfit: Outfit, *, clock: Callable[[], int] = wall_clock
) -> Room:
    """The ledger over its database, which it prepares, with every lapsed hold let go.

    `clock` gives microseconds since 1970.
    Raises: ConfigError for the fleet file; BooksNotOpened; BooksUnavailable.
    """
    fleet = await asyncio.to_thread(load_fleet, settings.config)
    database = SqliteDatabase(settings.database_url, wait_seconds=settings.database_wait_seconds)
    await database.prepare(metadata)
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

    async def stop_sweeping() -> None:
        sweep.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweep

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
