"""The ledger is killed in the middle of its work, again and again."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import grpc
from spendgate.ledger.v1 import budget_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from services.ledger.sql.sqlite import SqliteDatabase
from services.ledger.verify import verify
from tests.integration.ledger.conftest import PEPPER, an_attempt, reserve_item, settle_item
from tests.unit.ledger.making import FLEET

CALLERS = 64
KILLS = 3
LIMIT_NANOS = 10**12
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """`python -m services.ledger`, as the supervisor would run it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._environ = {
            **{name: value for name, value in os.environ.items() if "SPENDGATE" not in name},
            "SPENDGATE_LISTEN": f"127.0.0.1:{port}",
            "SPENDGATE_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
            "SPENDGATE_KEY_PEPPER": PEPPER,
            "SPENDGATE_CONFIG": str(folder / "fleet.yaml"),
        }
        self._log = folder / "ledger.log"
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

    async def end(self, number: signal.Signals) -> int:
        """Sends a signal, waits for the end, gives the exit status."""
        self._process.send_signal(number)
        return await self._process.wait()


class Load:
    """Callers that reserve and settle, and try again with the same ids until they are told."""

    def __init__(self, stub: rpc.LedgerServiceStub) -> None:
        self._stub = stub
        self.acknowledged: dict[str, int] = {}
        self.stop = False

    async def caller(self) -> None:
        while not self.stop:
            item = reserve_item(10)
            attempt = an_attempt(7)
            charge = settle_item(item.hold_id, attempt)
            held = await self._until_told(self._stub.Reserve, pb.ReserveRequest(items=[item]))
            assert held.results[0].HasField("hold"), held.results[0].error
            told = await self._until_told(self._stub.Settle, pb.SettleRequest(items=[charge]))
            assert told.results[0].HasField("settlement"), told.results[0].error
            self.acknowledged[attempt.entry_id] = told.results[0].settlement.charged_nanos

    async def _until_told(self, method: grpc.aio.UnaryUnaryMultiCallable, request: object):  # type: ignore[no-untyped-def]  # any response
        while True:
            try:
                return await method(request, timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    raise
                await asyncio.sleep(0.05)


async def test_no_acknowledged_charge_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    """64 callers, three kills: every charge that was acknowledged is in the books once."""
    (tmp_path / "fleet.yaml").write_text(FLEET)
    port = _free_port()
    process = Process(tmp_path, port)
    await process.start()
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        stub = rpc.LedgerServiceStub(channel)
        await stub.CreateBudget(
            pb.CreateBudgetRequest(
                budget_id="company",
                scope=budget_pb2.BudgetScope(tenant="acme"),
                window=budget_pb2.BUDGET_WINDOW_LIFETIME,
                limit_nanos=LIMIT_NANOS,
            ),
            timeout=30,
        )
        load = Load(stub)
        callers = [asyncio.create_task(load.caller()) for _ in range(CALLERS)]
        for kill in range(1, KILLS + 1):
            async with asyncio.timeout(60):
                while len(load.acknowledged) < kill * 2 * CALLERS:
                    await asyncio.sleep(0.001)
            assert await process.end(signal.SIGKILL) == -signal.SIGKILL
            await process.start()
        load.stop = True
        await asyncio.gather(*callers)
    assert await process.end(signal.SIGTERM) == 0
    database = SqliteDatabase(f"sqlite:///{tmp_path / 'ledger.db'}", wait_seconds=5)
    assert await verify(database) == []
    rows = await database.read(
        lambda c: c.exec_driver_sql("SELECT entry_id, cost_nanos FROM entry").all()
    )
    await database.close()
    assert len(rows) == len(load.acknowledged)
    assert dict(rows) == load.acknowledged  # type: ignore[arg-type]  # rows of two
