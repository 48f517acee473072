"""The ledger is killed in the middle of its work, again and again."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from spendgate.ledger.v1 import budget_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from services.ledger.sql.migrations.steps import upgrade
from services.ledger.verify import verify
from services.ledger.wiring import open_database
from tests.integration.ledger.conftest import PEPPER, an_attempt, reserve_item, settle_item
from tests.postgres import PostgresServer, why_not
from tests.unit.ledger.making import FLEET

CALLERS = 64
KILLS = 5
# The whole tenant's, and one each for some features.
BUDGETS = 9
LIMIT_NANOS = 10**12
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """`python -m services.ledger`, as the supervisor would run it."""

    def __init__(self, folder: Path, url: str, *, name: str = "ledger") -> None:
        self.address = f"127.0.0.1:{_free_port()}"
        (folder / "fleet.yaml").write_text(FLEET)
        self._environ = {
            **{name: value for name, value in os.environ.items() if "SPENDGATE" not in name},
            "SPENDGATE_LISTEN": self.address,
            "SPENDGATE_DATABASE_URL": url,
            "SPENDGATE_KEY_PEPPER": PEPPER,
            "SPENDGATE_CONFIG": str(folder / "fleet.yaml"),
        }
        self._log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Returns once it serves."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.ledger", env=self._environ, stderr=log
            )
        async with asyncio.timeout(60):
            while b'"message": "serving"' not in self._log.read_bytes():
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.02)

    async def kill_and_start(self) -> None:
        """Ends it as a crash would, and starts it again."""
        assert await self.end(signal.SIGKILL) == -signal.SIGKILL
        await self.start()

    async def end(self, number: signal.Signals) -> int:
        """Sends a signal, waits for the end, gives the exit status."""
        self._process.send_signal(number)
        return await self._process.wait()


class Load:
    """Callers that reserve and settle, and try again with the same ids until they are told."""

    def __init__(self, stubs: Sequence[rpc.LedgerServiceStub]) -> None:
        self._stubs = stubs
        self.acknowledged: dict[str, int] = {}
        self.first_since: float | None = None
        self.stop = False

    async def caller(self, place: int) -> None:
        while not self.stop:
            began_after = self.first_since is None
            item = reserve_item(10)
            item.attribution.feature = f"f{place % BUDGETS}"
            attempt = an_attempt(7)
            charge = settle_item(item.hold_id, attempt)
            held = await self._until_told(place, "Reserve", pb.ReserveRequest(items=[item]))
            assert held.results[0].HasField("hold")
            told = await self._until_told(place, "Settle", pb.SettleRequest(items=[charge]))
            self.acknowledged[attempt.entry_id] = told.results[0].settlement.charged_nanos
            if began_after and self.first_since is None:
                self.first_since = time.monotonic()

    async def _until_told(self, place: int, verb: str, request: Any) -> Any:
        tries = place
        while True:
            try:
                answer = await getattr(self._stubs[tries % len(self._stubs)], verb)(
                    request, timeout=10
                )
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    raise
            else:
                if not answer.results[0].HasField("error"):
                    return answer
                status = answer.results[0].error
                assert status.code == grpc.StatusCode.UNAVAILABLE.value[0], status
            tries += 1
            await asyncio.sleep(0.05)


class Recovery:
    """How long callers waited after each kill for the next charge that began after it."""

    def __init__(self, load: Load, report: Callable[[str, object], None]) -> None:
        self._load = load
        self._report = report
        self._seconds: list[float] = []

    async def after(self, kill: Callable[[], Awaitable[object]]) -> None:
        """Kills in the midst of work, then lets twice as many charges pass as there are callers."""
        await self._more(2 * CALLERS)
        began = time.monotonic()
        self._load.first_since = None
        await kill()
        await self._more(2 * CALLERS)
        assert self._load.first_since is not None
        self._seconds.append(self._load.first_since - began)

    def tell(self, what: str) -> None:
        longest = max(self._seconds)
        self._report(f"{what}_recovery_seconds", [round(each, 2) for each in self._seconds])
        told = f"{what}: {len(self._seconds)} kills, longest wait {longest:.2f} s"
        print(told)  # noqa: T201  # the figure that -rP shows

    async def _more(self, charges: int) -> None:
        wanted = len(self._load.acknowledged) + charges
        async with asyncio.timeout(60):
            while len(self._load.acknowledged) < wanted:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def _under_load(addresses: Sequence[str]) -> AsyncIterator[Load]:
    """64 callers, spread over the ledgers, who go to the next when one does not answer."""
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
    async with AsyncExitStack() as stack:
        stubs = [
            rpc.LedgerServiceStub(
                await stack.enter_async_context(grpc.aio.insecure_channel(each, options=options))
            )
            for each in addresses
        ]
        for place in range(BUDGETS):
            scope = budget_pb2.BudgetScope(tenant="acme", feature=f"f{place}" if place else "")
            await stubs[0].CreateBudget(
                pb.CreateBudgetRequest(
                    budget_id=f"b{place}",
                    scope=scope,
                    window=budget_pb2.BUDGET_WINDOW_LIFETIME,
                    limit_nanos=LIMIT_NANOS,
                ),
                timeout=30,
            )
        load = Load(stubs)
        callers = [asyncio.create_task(load.caller(place)) for place in range(CALLERS)]
        yield load
        load.stop = True
        await asyncio.gather(*callers)


async def _all_there_once(url: str, load: Load) -> None:
    """Every acknowledged charge is in the books once, and the books agree with themselves."""
    database = open_database(url, wait_seconds=10)
    assert await verify(database) == []
    rows = await database.read(
        lambda c: c.exec_driver_sql("SELECT entry_id, cost_nanos FROM entry").all()
    )
    held = await database.read(
        lambda c: c.exec_driver_sql("SELECT sum(reserved_amount) FROM balance").scalar_one()
    )
    await database.close()
    assert len(rows) == len(load.acknowledged)
    assert dict(rows) == load.acknowledged  # type: ignore[arg-type]  # rows of two
    assert held == 0


async def test_kill_9_of_the_ledger_loses_and_doubles_nothing_on_sqlite(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """64 callers, five kills, a restart after each."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    process = Process(tmp_path, url)
    await process.start()
    async with _under_load([process.address]) as load:
        recovery = Recovery(load, record_property)
        for _ in range(KILLS):
            await recovery.after(process.kill_and_start)
        recovery.tell("sqlite_ledger")
    assert await process.end(signal.SIGTERM) == 0
    await _all_there_once(url, load)


@pytest.mark.skipif(bool(why_not()), reason=why_not())
async def test_kill_9_of_ledgers_and_database_loses_and_doubles_nothing_on_postgresql(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """64 callers over three ledgers, five kills of one of them and five of the database."""
    with PostgresServer() as server:
        url = server.new_database()
        database = open_database(url, wait_seconds=10)
        await database.prepare(upgrade)
        await database.close()
        processes = [Process(tmp_path, url, name=f"ledger-{n}") for n in range(3)]
        await asyncio.gather(*(process.start() for process in processes))
        async with _under_load([process.address for process in processes]) as load:
            ledgers, servers = (Recovery(load, record_property) for _ in range(2))
            for kill in range(KILLS):
                await ledgers.after(processes[kill % 3].kill_and_start)
                await servers.after(server.restart_after_kill)
            ledgers.tell("postgresql_ledger")
            servers.tell("postgresql_server")
        for process in processes:
            assert await process.end(signal.SIGTERM) == 0
        await _all_there_once(url, load)
