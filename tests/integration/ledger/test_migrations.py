"""The tables are brought to what this version needs, and nothing is lost on the way."""

import asyncio
import contextlib
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from sqlalchemy import Connection, MetaData, inspect, text

from services.ledger.sql.database import BooksNotOpened
from services.ledger.sql.migrations.steps import VERSIONS, configured, current, newest, upgrade
from services.ledger.sql.partitions import make_months
from services.ledger.sql.shape import shape
from services.ledger.wiring import open_database
from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    PEPPER,
    an_attempt,
    reserve_item,
    running_ledger,
    settle_item,
)
from tests.unit.ledger.making import FLEET

# Books as they were written when there were no revisions yet: two budgets, six holds (three
# settled, one released, two pending), two hits, a key.
BEFORE_REVISIONS = Path(__file__).parent / "books_before_revisions.sql"


def _primary_keys(connection: Connection) -> dict[str, list[str]]:
    there = inspect(connection)
    return {
        table: there.get_pk_constraint(table)["constrained_columns"]
        for table in shape(connection.dialect.name).tables
    }


def _checks(connection: Connection) -> set[tuple[str, str | None]]:
    there = inspect(connection)
    return {
        (table, check["name"])
        for table in shape(connection.dialect.name).tables
        for check in there.get_check_constraints(table)
    }


async def test_the_revisions_make_the_tables_of_the_schema(books_url: str) -> None:
    """On both databases, checks included: else run `make ledger-revision`."""
    database = open_database(books_url, wait_seconds=10)

    def compared(conn: Connection) -> tuple[Any, ...]:
        upgrade(conn)
        wanted = shape(conn.dialect.name)
        keys = {t.name: [c.name for c in t.primary_key] for t in wanted.tables.values()}
        assert _primary_keys(conn) == keys
        return compare_metadata(configured(conn), wanted), _checks(conn)

    differences, made = await database.write(compared)
    assert differences == []
    assert made == {
        (table.name, str(check.name))
        for table in shape("postgresql").tables.values()
        for check in table.constraints | {c for col in table.columns for c in col.constraints}
        if type(check).__name__ == "CheckConstraint"
    }
    await database.close()


async def test_books_from_before_there_were_revisions_go_on(
    tmp_path: Path, clock: SetClock
) -> None:
    """Every row is kept, balances agree, and a hold from before can be settled."""
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as file:
        file.executescript(BEFORE_REVISIONS.read_text())
    kept = {
        name: file.execute(f"SELECT count(*) FROM {name}").fetchone()
        for name in ("budget", "balance", "hold", "budget_line", "entry", "rollup_hour", "api_key")
    }
    pending = file.execute("SELECT hold_id FROM hold WHERE state = 1").fetchone()[0]
    file.close()
    async with running_ledger(tmp_path, clock) as ledger:
        assert await ledger.standing("company") == (24_000, 40_000)
        assert kept == {n: ledger.query(f"SELECT count(*) FROM {n}")[0] for n in kept}
        assert ledger.query("SELECT version_num FROM alembic_version") == [(newest(),)]
        await ledger.charge(settle_item(pending, an_attempt(11)))
        assert await ledger.standing("company") == (35_000, 20_000)
        listed = await ledger.stub.ListEntries(pb.ListEntriesRequest(tenant="acme"), timeout=30)
        assert [entry.cost_nanos for entry in listed.entries if entry.cost_nanos] == [
            11_000, 9_000, 8_000, 7_000,
        ]  # fmt: skip
        assert await ledger.differences() == []


def _upgrade_to(connection: Connection, revision: str) -> None:
    """As a ledger that knew no more did."""
    directory = ScriptDirectory(str(VERSIONS.parent), version_locations=[str(VERSIONS)])

    def steps(at: Any, _: Any) -> Any:
        return directory._upgrade_revs(revision, at)

    with EnvironmentContext(Config(), directory, fn=steps) as environment:
        environment.configure(connection=connection, transaction_per_migration=False)
        environment.run_migrations()


def _fill(connection: Connection, rows: dict[str, list[dict[str, Any]]]) -> None:
    """`rows` as SQLite tells them, in the types of the tables there are."""
    if connection.dialect.name == "postgresql":
        make_months(connection, rows["entry"][0]["book_us"])
    tables = MetaData()
    tables.reflect(connection, only=list(rows))
    reads = {"BOOLEAN": bool, "JSON": json.loads}
    for name, found in rows.items():
        kinds = {c.name: reads.get(str(c.type), lambda value: value) for c in tables.tables[name].c}
        made = [{k: kinds[k](v) for k, v in row.items()} for row in found]
        connection.execute(tables.tables[name].insert(), made)


async def test_rows_of_before_budgets_of_any_scope_are_kept(books_url: str) -> None:
    """On both databases: each budget is a hard one in nano-USD, each row keeps what it says."""
    with contextlib.closing(sqlite3.connect(":memory:")) as file:
        file.executescript(BEFORE_REVISIONS.read_text())
        file.row_factory = sqlite3.Row
        names = ("budget", "balance", "hold", "budget_line", "entry", "api_key")
        rows = {n: [dict(r) for r in file.execute(f"SELECT * FROM {n}")] for n in names}
    database = open_database(books_url, wait_seconds=10)
    await database.write(lambda conn: _upgrade_to(conn, "0003"))
    await database.write(lambda conn: _fill(conn, rows))
    await database.prepare(upgrade)

    async def told(select: str) -> list[tuple[Any, ...]]:
        found = await database.read(lambda conn: conn.execute(text(select)).all())
        return [tuple(row) for row in found]

    for name in names:
        assert await told(f"SELECT count(*) FROM {name}") == [(len(rows[name]),)]
    assert await told("SELECT limit_amount, unit, mode FROM budget ORDER BY number") == [
        (1_000_000, 1, 1), (500_000, 1, 1),
    ]  # fmt: skip
    assert await told("SELECT settled_amount, reserved_amount, subject FROM balance") == [
        (24_000, 40_000, ""), (24_000, 40_000, ""),
    ]  # fmt: skip
    assert await told("SELECT DISTINCT held_amount, unit FROM budget_line") == [(20_000, 1)]
    assert await told("SELECT sum(cost_nanos), min(price_us) FROM entry") == [
        (24_000, 1_773_145_800_000_000)
    ]
    ((left,),) = await told("SELECT reserve_left FROM hold WHERE hold_id LIKE '42538f8e%'")
    assert (json.loads(left) if isinstance(left, str) else left) == ["chat", 480_000, 500_000, 1]
    await database.close()


async def test_bringing_up_to_date_twice_at_once_does_it_once(books_url: str) -> None:
    """Two operators, or a replica and an operator."""
    several = [open_database(books_url, wait_seconds=10) for _ in range(4)]
    await asyncio.gather(*(each.prepare(upgrade) for each in several))
    assert await several[0].read(current) == newest()
    for each in several:
        await each.close()


async def test_books_of_a_newer_version_are_not_touched(books_url: str) -> None:
    """An old ledger would not keep what the new one added."""
    database = open_database(books_url, wait_seconds=10)
    await database.prepare(upgrade)
    await database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num='9999'")))
    with pytest.raises(BooksNotOpened, match="9999"):
        await database.prepare(upgrade)
    await database.close()


async def _run(environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if "SPENDGATE" not in name}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=kept | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("books_url", ["postgresql"], indirect=True)
async def test_a_replica_refuses_older_tables_and_says_what_to_run(
    books_url: str, tmp_path: Path, clock: SetClock
) -> None:
    """On PostgreSQL, where others may be at work: exit 78 until the command was run."""
    (tmp_path / "fleet.yaml").write_text(FLEET)
    environ = {
        "SPENDGATE_DATABASE_URL": books_url,
        "SPENDGATE_KEY_PEPPER": PEPPER,
        "SPENDGATE_CONFIG": str(tmp_path / "fleet.yaml"),
    }
    code, told = await _run(environ, "-m", "services.ledger")
    assert code == 78
    assert "run: spendgate ledger migrate" in told
    url = {"SPENDGATE_DATABASE_URL": books_url}
    assert (await _run(url, "-m", "cli.main", "ledger", "migrate", "--check"))[0] == 1
    code, told = await _run(url, "-m", "cli.main", "ledger", "migrate")
    assert (code, newest() in told) == (0, True), told
    assert (await _run(url, "-m", "cli.main", "ledger", "migrate", "--check"))[0] == 0
    async with running_ledger(tmp_path, clock, database_url=books_url) as ledger:
        await ledger.budget("company", 100_000)
        await ledger.hold(reserve_item(20))
        assert await ledger.standing("company") == (0, 20_000)


@pytest.mark.parametrize("books_url", ["postgresql"], indirect=True)
async def test_an_image_can_do_it_without_the_command_line(books_url: str, tmp_path: Path) -> None:
    """With the ledger's own settings; wrong ones exit 78, in a line."""
    environ = {"SPENDGATE_DATABASE_URL": books_url, "SPENDGATE_KEY_PEPPER": PEPPER}
    code, told = await _run(environ, "-m", "services.ledger.migrate")
    assert (code, newest() in told) == (0, True), told
    environ["SPENDGATE_DATABASE_URL"] = f"sqlite:///{tmp_path}"
    code, told = await _run(environ, "-m", "services.ledger.migrate")
    assert (code, told.count("\n")) == (78, 1)


@pytest.mark.parametrize("books_url", ["postgresql"], indirect=True)
async def test_a_ledger_can_be_told_to_do_it_at_its_start(
    books_url: str, tmp_path: Path, clock: SetClock
) -> None:
    """Where all ledgers are of one version."""
    told = {"database_url": books_url, "migrate_at_start": True}
    async with running_ledger(tmp_path, clock, **told) as ledger:
        await ledger.budget("company", 100_000)
        await ledger.hold(reserve_item(20))
        assert await ledger.standing("company") == (0, 20_000)
