"""The two servers of bench.hops, a process each: `python -m bench.hop_servers leaf`.

The leaf is the real tokenizer. The front stands for the gateway: the real chassis around two
methods that hand one item on, one call each or coalesced. Both print their address as a line of
JSON and then, for each line they read, the CPU nanoseconds that they have used.
"""

import asyncio
import json
import sys
import time
from typing import Any

import grpc
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis.calls import current_call
from chassis.channel import Link
from chassis.errors import ErrorTable
from chassis.hop import BatchHop
from chassis.server import Build, Outfit, Room, running
from chassis.settings import ServiceSettings
from services.tokenizer.settings import TokenizerSettings
from services.tokenizer.wiring import SERVICE_NAME
from services.tokenizer.wiring import build as build_tokenizer

FRONT = "bench.Front"
PLAIN = "Plain"
COALESCED = "Coalesced"


class Front:
    """Hands a CountItem on to the leaf."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._count = link.stub(pb_grpc.TokenizerServiceStub).Count
        self.hop = BatchHop(link, self._count, pb.CountRequest)

    async def plain(self, item: pb.CountItem, context: Any) -> pb.TokenCount:
        """A call to the leaf for this item alone."""
        request = pb.CountRequest(items=[item])
        answer = await self._link.call(self._count, request, current_call().deadline)
        count: pb.TokenCount = answer.results[0].count
        return count

    async def coalesced(self, item: pb.CountItem, context: Any) -> pb.TokenCount:
        """Together with the items of whoever else waits."""
        count: pb.TokenCount = await self.hop.call(item, current_call().deadline)
        return count


def add_front(front: Front, server: Any) -> None:
    """What protoc would have generated."""
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            method, pb.CountItem.FromString, pb.TokenCount.SerializeToString
        )
        for name, method in ((PLAIN, front.plain), (COALESCED, front.coalesced))
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(FRONT, handlers),))


def front_of(leaf: str) -> Build[ServiceSettings]:
    """The wiring of a front whose leaf listens at `leaf`."""

    async def build(settings: ServiceSettings, outfit: Outfit) -> Room:
        link = Link(leaf, SERVICE_NAME, None)
        front = Front(link)
        return Room(
            servicers=[(add_front, front)],
            service_names=[FRONT],
            errors=ErrorTable("front.bench", {}),
            cleanups=[("link", link.close), ("hop", front.hop.close)],
        )

    return build


async def serve(role: str, leaf: str) -> None:
    """Serves until standard input ends."""
    if role == "leaf":
        service = running(role, TokenizerSettings(), build_tokenizer)
    else:
        service = running(role, ServiceSettings(), front_of(leaf))
    async with service as server:
        print(json.dumps({"address": server.address}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(time.process_time_ns(), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
