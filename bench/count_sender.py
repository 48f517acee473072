"""Sends one hostile text of 4 MB to a tokenizer: `python -m bench.count_sender ADDRESS KIND`.

Says when it is ready, sends when it reads a line, and tells the tokens that it got.
"""

import asyncio
import sys
from typing import Any

from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from bench.count_engine import HOSTILE, SIZES
from chassis.channel import Link
from chassis.deadline import Deadline
from services.tokenizer.wiring import SERVICE_NAME


async def main(address: str, kind: str) -> None:
    """One text."""
    link = Link(address, SERVICE_NAME, None)
    stub: Any = link.stub(pb_grpc.TokenizerServiceStub)
    small = pb.CountRequest(items=[pb.CountItem(model="gpt-4o", text="warm up")])
    await link.call(stub.Count, small, Deadline.after(60))
    big = pb.CountRequest(items=[pb.CountItem(model="gpt-4o", text=HOSTILE[kind](SIZES[-1]))])
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    answer = await link.call(stub.Count, big, Deadline.after(60))
    print(answer.results[0].count.tokens, flush=True)
    await link.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
