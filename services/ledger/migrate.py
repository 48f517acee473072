"""`python -m services.ledger.migrate`: `spendgate ledger migrate` where there is no command line.

For an image, which holds the service and nothing else: run it once, with the ledger's settings,
before the ledgers of a new version start. Exits 0, or 78 and says what is wrong.
"""

import asyncio
import os
import sys
from collections.abc import Mapping

from chassis.server import EXIT_SETTINGS
from chassis.settings import SettingsError
from services.ledger.settings import LedgerSettings
from services.ledger.sql.database import BooksNotOpened
from services.ledger.sql.migrations.steps import newest, upgrade
from services.ledger.sql.partitions import make_months
from services.ledger.wiring import open_database, wall_clock

WAIT_SECONDS = 30.0


async def migrate(url: str) -> None:
    """Brings the tables there to the newest revision. Raises: BooksNotOpened."""
    database = open_database(url, wait_seconds=WAIT_SECONDS)
    try:
        await database.prepare(upgrade)
        await database.write(lambda connection: make_months(connection, wall_clock()))
    finally:
        await database.close()


def main(environ: Mapping[str, str] = os.environ) -> None:
    """Runs it and says how it ended."""
    try:
        asyncio.run(migrate(LedgerSettings.from_env(environ).database_url))
    except (SettingsError, BooksNotOpened) as error:
        print(*error.problems, sep="\n", file=sys.stderr)  # noqa: T201  # for people
        sys.exit(EXIT_SETTINGS)
    print(f"the tables are at revision {newest()}")  # noqa: T201  # for people


if __name__ == "__main__":
    main()
