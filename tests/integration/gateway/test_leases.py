"""Gateways' leases against a real ledger: limits hold whoever admits."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from catalog.config import parse_config
from catalog.ledger import LeasesConfig
from catalog.prices import PriceBook
from chassis.deadline import Deadline
from chassis.errors import RemoteError
from gateway.saga.books import Books
from gateway.saga.leases import Leases
from gateway.services_grpc import GrpcServices
from tests.fakes.ledger_clock import SetClock
from tests.fakes.outbox import MemoryOutbox
from tests.integration.ledger.conftest import Ledger, an_attempt, reserve_item, running_ledger
from tests.unit.ledger.making import FLEET

LIMIT = 3_000_000
GATEWAYS = 3
WORST_TOKENS, USED_TOKENS = 20, 15


class Gateway:
    """Books and leases of a gateway, as the saga uses them."""

    def __init__(self, address: str) -> None:
        self.services = GrpcServices(
            tokenizer=address, cache=address, router=address, ledger=address, token=None
        )
        self.books = Books(self.services, MemoryOutbox(), settle_seconds_max=10)
        self.leases = Leases(
            self.services,
            self.books,
            PriceBook(parse_config(FLEET)),
            LeasesConfig(enabled=True, calls=40, seconds=30),
            call_seconds=120,
            new_id=lambda: str(uuid.uuid4()),
            now=lambda: datetime.now(UTC),
        )
        self.reserved = self.leased = self.refused = 0

    async def call(self) -> None:
        """One call from admission to charge."""
        item = reserve_item(WORST_TOKENS)
        item.worst_cases[0].provider = "somewhere"
        item.hold_duration.seconds = 60
        charge = pb.SettleItem(
            hold_id=item.hold_id, attempts=[an_attempt(USED_TOKENS)], tenant="acme"
        )
        admitted = self.leases.admit(item)
        if admitted is None:
            try:
                await self.services.reserve(item, Deadline.after(10))
            except RemoteError as error:
                self.refused += error.reason == "BUDGET_EXCEEDED"
                return
            self.leases.reserved(item)
            self.reserved += 1
        else:
            charge.draw.CopyFrom(admitted.draw)
            self.leased += 1
        settlement = await self.books.settle(charge, admitted.settled if admitted else None)
        assert settlement is not None
        assert not settlement.entries[0].late

    async def close(self) -> None:
        await self.leases.close()
        await self.services.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Ledger, list[Gateway]]]:
    clock: Any = SetClock(datetime.now(UTC))
    async with running_ledger(tmp_path, clock) as ledger:
        await ledger.budget("company", LIMIT)
        gateways = [Gateway(ledger.address) for _ in range(GATEWAYS)]
        yield ledger, gateways
        for gateway in gateways:
            await gateway.close()
        assert await ledger.differences() == []


async def test_a_budget_is_used_up_to_its_limit_and_no_further(
    house: tuple[Ledger, list[Gateway]],
) -> None:
    """Three gateways, most calls without a word to the ledger; to the last call that fits."""
    ledger, gateways = house
    for _ in range(12):
        await asyncio.gather(*(each.call() for each in gateways for _ in range(8)))
        settled, reserved = await ledger.standing("company")
        assert settled + reserved <= LIMIT
    settled, _ = await ledger.standing("company")
    calls = sum(each.reserved + each.leased for each in gateways)
    assert settled == calls * USED_TOKENS * 1_000
    assert settled > LIMIT - LIMIT // 20
    assert sum(each.refused for each in gateways) > 0
    assert sum(each.leased for each in gateways) > calls // 2
    for each in gateways:
        await each.leases.close()
    assert await ledger.standing("company") == (settled, 0)


async def test_a_gateway_that_is_killed_holds_its_slice_no_longer_than_its_time(
    house: tuple[Ledger, list[Gateway]],
) -> None:
    """Then the whole of it is there for others."""
    ledger, (killed, *_) = house
    for _ in range(4):
        await killed.call()
    await killed.books.drain()
    _, reserved = await ledger.standing("company")
    assert reserved > 0
    killed.leases = Gateway(ledger.address).leases
    ledger.clock.go_on(151)
    assert (await ledger.standing("company"))[1] == 0
