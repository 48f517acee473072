"""The port for probes and operators: health, reflection and channelz in plaintext, no service.

Kubelets show no certificate, and who looks into a process should not need the fleet's token to see
whether it lives. Nothing here reads or changes what the fleet keeps.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chassis.health import Health
from chassis.listening import OFF, AddressTaken

RECEIVE_BYTES_MAX = 64 * 1024


@asynccontextmanager
async def admin_port(
    listen: str, health: Health, service_names: Iterable[str]
) -> AsyncIterator[str]:
    """The port while the block runs; gives its address, "" for "off".

    Raises: AddressTaken.
    """
    if listen == OFF:
        yield ""
        return
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", RECEIVE_BYTES_MAX)])
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    channelz.add_channelz_servicer(server)
    reflection.enable_server_reflection(
        [*service_names, "grpc.health.v1.Health", reflection.SERVICE_NAME], server
    )
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise AddressTaken(listen, "SPENDGATE_ADMIN_LISTEN") from error
    await server.start()
    try:
        yield f"{listen.rpartition(':')[0]}:{port}"
    finally:
        await server.stop(0)
