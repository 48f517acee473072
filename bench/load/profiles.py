"""What is asked of a gateway in each profile."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spendgate.gateway.v1 import gateway_service_pb2 as pb

from bench.load.generator import Generator
from bench.load.payloads import NEW, OLD, grpc_body, http_body, write

HTTP_PATH = "/v1/chat/completions"
GRPC_METHOD = "/spendgate.gateway.v1.GatewayService/Complete"
# As many numbers as one round may use up.
NUMBERS_A_ROUND = 10**7


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of load. `kind` is "http" or "grpc"."""

    name: str
    kind: str
    concurrency: int
    payloads: Sequence[bytes]
    options: dict[str, Any] = field(default_factory=dict)


def profiles(model: str = "auto") -> list[Profile]:
    """All of them, the cheapest requests first."""
    exact = [http_body(model, text) for text in OLD]
    new = [http_body(model, NEW)]
    off = pb.CACHE_MODE_OFF
    streaming = {"stream": True, "interval": "20ms"}
    return [
        Profile("exact hit, gRPC, c=64", "grpc", 64, [grpc_body(model, text) for text in OLD]),
        Profile("exact hit, HTTP, c=64", "http", 64, exact),
        Profile("exact hit, gRPC, c=1", "grpc", 1, [grpc_body(model, text) for text in OLD]),
        Profile("miss, HTTP, c=1", "http", 1, new),
        Profile("miss, HTTP, c=32", "http", 32, new),
        Profile("miss, gRPC, c=32", "grpc", 32, [grpc_body(model, NEW)]),
        Profile("miss, cache off, gRPC, c=32", "grpc", 32, [grpc_body(model, NEW, mode=off)]),
        Profile("stream, HTTP, c=50", "http", 50, [http_body(model, NEW, stream=True)], streaming),
    ]


class Rounds:
    """Runs profiles; numbers never repeat, so that what is new stays new."""

    def __init__(self, generator: Generator, folder: Path) -> None:
        self._generator = generator
        self._folder = folder
        self._first = int(time.time()) * 10**3

    def one(self, profile: Profile, target: str, key: str, seconds: float, **more: object) -> Any:
        """One round before the gateway at `target`, as the generator tells it."""
        payloads = self._folder / profile.name.replace(" ", "-").replace(",", "")
        if not payloads.exists():
            write(payloads, profile.payloads)
        self._first += NUMBERS_A_ROUND
        return self._generator.load(
            profile.kind,
            seconds,
            target=target,
            key=key,
            payloads=payloads,
            concurrency=profile.concurrency,
            first=self._first % 10**15,
            path=HTTP_PATH if profile.kind == "http" else GRPC_METHOD,
            **profile.options,
            **more,
        )
