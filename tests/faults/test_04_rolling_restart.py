"""T4: every service is restarted, replica after replica, while callers call: none hears of it.

SPENDGATE_ROLLING_RATE=200 SPENDGATE_ROLLING_SECONDS=30 for the full size (`make faults`).
"""

import asyncio
import json
import os
import random
import sys
import time

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as gateway_grpc

from chassis.channel import RECONNECT, service_config
from tests.e2e.house import SERVICES, House, bearer, free_port, prompt_of, until
from tests.postgres import PostgresServer, why_not

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.timeout(900),
]
RATE = int(os.environ.get("SPENDGATE_ROLLING_RATE", "40"))
SECONDS = float(os.environ.get("SPENDGATE_ROLLING_SECONDS", "0"))
DISTINCT = 200
REPLICAS = ("a", "b")
GATEWAY = "spendgate.gateway.v1.GatewayService"
# How long a caller's channel takes to find a replica that is back on the same port.
FOUND_AGAIN_SECONDS = 2.5


class Pairs(House):
    """Two of each service, over one PostgreSQL and one Redis."""

    processes = tuple(f"{name}.{each}" for name in (*SERVICES, "gateway") for each in REPLICAS)

    def __init__(self, folder, database_url):
        super().__init__(folder)
        self._database_url = database_url
        for name in (*self.processes, *(f"http.{each}" for each in REPLICAS)):
            self.ports[name] = free_port()
        for name in (*SERVICES, "gateway"):
            self.ports[name] = self.ports[f"{name}.a"]

    def both(self, name):
        """A target that names both replicas."""
        return "ipv4:" + ",".join(self.address(f"{name}.{each}") for each in REPLICAS)

    def _module(self, name):
        return super()._module(name.partition(".")[0])

    def _environment(self, name):
        base, _, each = name.partition(".")
        env = super()._environment(base)
        env["SPENDGATE_LISTEN"] = self.address(name)
        env["SPENDGATE_METRICS_LISTEN"] = "off"
        env["SPENDGATE_DRAIN_NOTICE_SECONDS"] = "0.5"
        if base == "ledger":
            env["SPENDGATE_DATABASE_URL"] = self._database_url
            env["SPENDGATE_MIGRATE_AT_START"] = "true"
            # Both make the tables at once.
            env["SPENDGATE_DATABASE_WAIT_SECONDS"] = "30"
        if base == "cache":
            env["SPENDGATE_SEMANTIC"] = "false"
        if base == "router":
            env["SPENDGATE_OUTCOMES_FILE"] = str(self.folder / f"outcomes-{each}.jsonl")
        if base == "gateway":
            env |= {f"SPENDGATE_{s.upper()}_ADDRESS": self.both(s) for s in SERVICES}
            env["SPENDGATE_HTTP_LISTEN"] = self.address(f"http.{each}")
            env["SPENDGATE_OUTBOX_DIR"] = str(self.folder / f"outbox-{each}")
        return env

    async def roll(self, names):
        """SIGTERM, wait for the end, start again, wait until it serves; all of `names` at once."""
        for name in names:
            self.children[name].terminate()
        await asyncio.gather(*(self.restart(name) for name in names))
        await asyncio.sleep(FOUND_AGAIN_SECONDS)


class Load:
    """Calls at a steady rate, whatever the answers do; every error is kept."""

    def __init__(self, stub, secret):
        self._stub, self._secret = stub, secret
        self.answers, self.errors, self.shed = [], [], 0
        self._calls = set()
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        draw = random.Random(4)
        began, n = time.monotonic(), 0
        while True:
            n += 1
            await asyncio.sleep(max(0.0, began + n / RATE - time.monotonic()))
            task = asyncio.create_task(self._call(f"question {draw.randrange(DISTINCT)}"))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _call(self, text):
        """As the clients do it: what was refused before any work is asked again a little later."""
        request = gateway_pb.CompleteRequest(model="cheap", prompt=prompt_of(text))
        until = time.monotonic() + 15
        while True:
            left = until - time.monotonic()
            try:
                answer = await self._stub.Complete(
                    request, timeout=left, metadata=bearer(self._secret)
                )
            except grpc.aio.AioRpcError as error:
                if is_shed(error) and time.monotonic() < until - 1:
                    self.shed += 1
                    await asyncio.sleep(0.2)
                    continue
                self.errors.append(f"{error.code().name}: {error.details()}")
            else:
                self.answers.append(answer.summary)
            return

    async def stop(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._calls)


def is_shed(error):
    """Whether a gateway that has too much to do refused it, before any work."""
    status = rpc_status.from_call(error)
    infos = [error_details_pb2.ErrorInfo() for _ in status.details] if status else []
    return any(
        detail.Unpack(info) and info.reason == "OVERLOADED"
        for detail, info in zip(status.details if status else [], infos, strict=True)
    )


def _waves():
    """What is restarted together: at CI size one replica of every inner service at a time."""
    if SECONDS:
        return [[f"{n}.{each}"] for n in (*SERVICES, "gateway") for each in REPLICAS]
    inner = [[f"{n}.{each}" for n in SERVICES] for each in REPLICAS]
    return [*inner, *([f"gateway.{each}"] for each in REPLICAS)]


async def test_callers_hear_nothing_of_a_rolling_restart(tmp_path):
    """No error, and the books hold exactly what the answers said: spent, saved, none twice."""
    with PostgresServer() as postgres:
        async with Pairs(tmp_path, postgres.new_database()) as house:
            secret = await house.key("acme")
            await house.budget("acme", "company", 10**12)
            options = [("grpc.service_config", service_config(GATEWAY)), *RECONNECT]
            async with grpc.aio.insecure_channel(house.both("gateway"), options=options) as both:
                load = Load(gateway_grpc.GatewayServiceStub(both), secret)
                began = time.monotonic()
                for wave in _waves():
                    await house.roll(wave)
                await asyncio.sleep(max(0.0, began + SECONDS - time.monotonic()))
                seconds = time.monotonic() - began
                await load.stop()
            told = {
                "requests": len(load.answers),
                "errors": len(load.errors),
                "asked_again": load.shed,
                "seconds": round(seconds, 1),
                "rate": round(len(load.answers) / seconds),
                "provider_calls": sum(s.cost_nanos > 0 for s in load.answers),
            }
            sys.stdout.write(json.dumps(told) + "\n")
            assert not load.errors, load.errors[:5]
            assert len(load.answers) > RATE * seconds / 2

            charged = sum(summary.cost_nanos for summary in load.answers)

            async def settled():
                return await house.spent("acme", "company") == (charged, 0)

            await until(settled, seconds_max=30)
            assert charged > 0
            await _each_once(house, load)


async def _each_once(house, load):
    """Every request is on the books once, with what its caller was told."""
    booked = {}
    after = ""
    while True:
        page, after = await house.entries_page("acme", after)
        for entry in page:
            booked[entry.request_id] = booked.get(entry.request_id, 0) + entry.cost_nanos
        if not after:
            break
    told = {summary.request_id: summary.cost_nanos for summary in load.answers}
    assert len(told) == len(load.answers)
    assert booked == told
