"""Load on a gateway, from a process of its own: `python -m bench.overload_load`.

It reads phases as JSON lines and answers each with one. A closed phase has callers that wait for
their answers; an open one sends at its rate, whatever comes back.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as rpc

CALL_SECONDS_MAX = 5.0
TICK_SECONDS = 0.01
CHANNELS = 4
# About a thousand tokens, as prompts with instructions and some history have.
FILLER = "Tell me what happened on that day, and why it mattered to whom. " * 70


@dataclass
class Told:
    """What came of a phase. Times are seconds since its beginning."""

    seconds: float = 0.0
    sent: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    # [sent at, answered at, tenant's place], of each that was answered.
    served: list[list[float]] = field(default_factory=list)
    # How late the open loop sent its last: above a tick or two, the load was less than was asked.
    late_seconds: float = 0.0


class Load:
    """Sends to one gateway."""

    def __init__(self, address: str, secrets: list[str]) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.aio.insecure_channel(address, options=options) for _ in range(CHANNELS)
        ]
        self._stubs = [rpc.GatewayServiceStub(channel) for channel in self._channels]
        self._secrets = secrets
        self._number = time.time_ns()

    async def run(self, phase: dict[str, Any]) -> Told:
        told, outcomes = Told(), Counter[str]()
        began = time.perf_counter()

        async def send(tenant: int) -> None:
            sent = time.perf_counter() - began
            outcome = await self._send(tenant)
            outcomes[f"{tenant} {outcome}"] += 1
            if outcome == "OK":
                told.served.append([sent, time.perf_counter() - began, tenant])

        if phase["kind"] == "closed":
            await self._closed(phase, began, send)
        else:
            told.late_seconds = await self._open(phase, began, send)
        told.seconds = time.perf_counter() - began
        told.outcomes = dict(outcomes)
        told.sent = outcomes.total()
        return told

    async def _closed(self, phase: dict[str, Any], began: float, send: Any) -> None:
        async def caller() -> None:
            while time.perf_counter() - began < phase["seconds"]:
                await send(0)

        await asyncio.gather(*(caller() for _ in range(phase["callers"])))

    async def _open(self, phase: dict[str, Any], began: float, send: Any) -> float:
        due = [0.0] * len(phase["rates"])
        tasks: set[asyncio.Task[None]] = set()
        while (now := time.perf_counter() - began) < phase["seconds"]:
            for tenant, rate in enumerate(phase["rates"]):
                while due[tenant] <= now:
                    due[tenant] += 1 / rate
                    task = asyncio.create_task(send(tenant))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            await asyncio.sleep(TICK_SECONDS)
        late = time.perf_counter() - began - phase["seconds"]
        if tasks:
            await asyncio.wait(tasks)
        return late

    async def _send(self, tenant: int) -> str:
        self._number += 1
        message = chat_pb2.Message(
            role=chat_pb2.ROLE_USER, content=f"Number {self._number}? {FILLER}"
        )
        request = pb.CompleteRequest(model="cheap", prompt=chat_pb2.Prompt(messages=[message]))
        stub = self._stubs[self._number % CHANNELS]
        metadata = [("authorization", f"Bearer {self._secrets[tenant]}")]
        try:
            await stub.Complete(request, metadata=metadata, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            trailing = error.trailing_metadata()
            hinted = any(key == "grpc-status-details-bin" for key, _ in trailing or ())
            if not hinted:
                return f"{error.code().name}: {(error.details() or '')[:200]}"
            return f"{error.code().name}+details"
        return "OK"


async def main() -> None:
    first = json.loads(sys.stdin.readline())
    load = Load(first["address"], first["secrets"])
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = await load.run(json.loads(line))
        print(json.dumps(asdict(told)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
