"""A gateway that is killed loses nothing it had put, and books nothing twice."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from gateway.outbox.file import OutboxLimits
from gateway.outbox.outbox import Item, Outbox
from gateway.outbox.relay import Relay

CALLERS = 16
LIMITS = OutboxLimits(segment_bytes_max=4_096)


def _say(word: str, number: int) -> None:
    # One write a line: a kill cannot tear it.
    os.write(1, f"{word} {number}\n".encode())


async def _work(path: Path, first: int) -> None:
    """The process to be killed: puts numbered records, acknowledges every other one."""
    outbox = await Outbox.open(path, LIMITS)
    numbers = iter(range(first, first + 10**9))

    async def caller() -> None:
        while True:
            number = next(numbers)
            _say("try", number)
            position = await outbox.put(ledger_pb.SettleItem(hold_id=str(number)))
            _say("put", number)
            if number % 2:
                outbox.ack(position)
                await outbox.flush()
                _say("acked", number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def _killed_after(path: Path, first: int, lines: int) -> dict[str, set[int]]:
    """What the process had said when it was killed."""
    command = [sys.executable, __file__, str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said: dict[str, set[int]] = {"try": set(), "put": set(), "acked": set()}
        read = 0
        for line in process.stdout:
            word, number = line.decode().split()
            said[word].add(int(number))
            read += 1
            if read == lines:
                process.send_signal(signal.SIGKILL)
    assert read >= lines
    return said


@pytest.mark.parametrize("rounds", [1, 3])
async def test_kill_and_restart(tmp_path: Path, rounds: int) -> None:
    """After kills in the middle of the work the relay books all that was put and not
    acknowledged: each once, in the order it was put."""
    said: dict[str, set[int]] = {"try": set(), "put": set(), "acked": set()}
    for number in range(rounds):
        for word, numbers in _killed_after(tmp_path, number * 10**6, 700 + 90 * number).items():
            said[word] |= numbers
    booked: list[int] = []

    async def deliver(item: Item) -> None:
        assert isinstance(item, ledger_pb.SettleItem)
        booked.append(int(item.hold_id))

    outbox = await Outbox.open(tmp_path, LIMITS)
    count = outbox.state().records
    relay = asyncio.create_task(Relay(outbox, deliver).run())
    async with asyncio.timeout(20):
        while outbox.state().records:
            await asyncio.sleep(0.01)  # a relay has no other sign of rest
    relay.cancel()
    await asyncio.wait([relay])
    await outbox.close()
    assert len(booked) == count
    assert booked == sorted(set(booked))
    # Said to be on disk: it was. Said to be acknowledged: it was. Never asked for: not there.
    odd = {number for number in said["put"] if number % 2}
    assert said["put"] - odd <= set(booked)
    assert not said["acked"] & set(booked)
    assert set(booked) <= said["try"]


if __name__ == "__main__":
    asyncio.run(_work(Path(sys.argv[1]), int(sys.argv[2])))
