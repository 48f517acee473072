"""What the ledger can be told."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings

PEPPER_CHARS_MIN = 16
DATABASE_URLS = r"^(sqlite:///|postgresql(\+psycopg)?://).+"


class LedgerSettings(ServiceSettings):
    """Settings of the ledger, each from SPENDGATE_<NAME>."""

    database_url: Annotated[str, Field(pattern=DATABASE_URLS)] = "sqlite:///.spendgate/ledger.db"
    """Where the books are: sqlite:///path/of/file (sqlite:////absolute/path), whose folder is made
    when it is not there; or postgresql://user@host/database, for any number of ledgers. What the
    URL leaves out comes from libpq's own variables and files, such as PGPASSFILE."""

    database_wait_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    """How long to wait for others that have the books locked, and for PostgreSQL to come back."""

    migrate_at_start: bool = False
    """Bring the tables of a PostgreSQL up to date at the start. For places where all ledgers are
    of one version and start together, as in development; an embedded ledger always does it."""

    key_pepper: Annotated[SecretStr, Field(min_length=PEPPER_CHARS_MIN)]
    """What the secrets of virtual keys are hashed with. Keep it apart from the database and never
    change it: keys made under another pepper open nothing."""

    config: Path | None = None
    """The fleet file, for prices. Default: the built-in one, with a small local model."""

    reload_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """How often it is looked whether the fleet file has changed; then it is read again."""

    sweep_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    """How often lapsed holds are let go where no command does it, and the database is probed."""

    follow_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """How often new rows are looked for, to sum them up for reports and to raise alerts."""

    watch_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """How often forecasts of budgets and hours unlike their past are looked for."""

    batch_commands_max: Annotated[int, Field(ge=1, le=1024)] = 256
    """Commands in one transaction."""
