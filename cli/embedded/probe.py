"""Asks a process whether it is well."""

import asyncio
import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PROBE_SECONDS_MAX = 2.0


async def is_well(address: str, health: str) -> bool:
    """Whether the process at host:port says that it serves, by "grpc" health or "http" /health."""
    if health == "http":
        return await asyncio.to_thread(_http, address)
    options = [("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS_MAX
            )
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _http(address: str) -> bool:
    # No proxy of the shell's may stand between two processes of one machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}/health", timeout=PROBE_SECONDS_MAX) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
