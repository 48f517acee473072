"""A real Redis Cluster on loopback: three masters, each with a third of the slots."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import redis.asyncio
from redis.exceptions import RedisError

from cli.embedded.redis import find_redis_server

SLOTS = 16_384
NODES = 3


class RedisCluster:
    """The nodes, by their place; `url` is the first one's."""

    def __init__(self, ports: list[int], processes: list[asyncio.subprocess.Process]) -> None:
        self.ports = ports
        self.processes = processes
        self.url = f"redis://127.0.0.1:{ports[0]}"

    def client(self, place: int) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(host="127.0.0.1", port=self.ports[place])


@contextlib.asynccontextmanager
async def redis_cluster(directory: Path) -> AsyncIterator[RedisCluster]:
    """A cluster in `directory` while the block runs."""
    ports = [_free_port() for _ in range(NODES)]
    processes = []
    try:
        for port in ports:
            processes.append(await _start(directory / str(port), port))
        cluster = RedisCluster(ports, processes)
        async with asyncio.timeout(60):
            await _join(cluster)
        yield cluster
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _start(directory: Path, port: int) -> asyncio.subprocess.Process:
    directory.mkdir(parents=True)
    options = {
        "port": port, "bind": "127.0.0.1", "cluster-enabled": "yes", "save": '""',
        "cluster-port": _free_port(), "cluster-node-timeout": 2000, "dir": directory,
        "cluster-require-full-coverage": "no", "loglevel": "warning",
    }  # fmt: skip
    config = directory / "redis.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    return await asyncio.create_subprocess_exec(
        find_redis_server(), config, stdout=sys.stderr, stderr=sys.stderr
    )


async def _join(cluster: RedisCluster) -> None:
    clients = [cluster.client(place) for place in range(NODES)]
    for place, client in enumerate(clients):
        await _answers(client)
        first, end = place * SLOTS // NODES, (place + 1) * SLOTS // NODES - 1
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end)
    nodes = [await client.execute_command("CLUSTER", "MYID") for client in clients]
    assert len(set(nodes)) == NODES
    for place in range(1, NODES):
        bus = (await clients[place].config_get("cluster-port"))["cluster-port"]
        await clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", cluster.ports[place], bus)
    for client in clients:
        while not await _whole(client):
            await asyncio.sleep(0.05)
    for client in clients:
        await client.aclose()


async def _whole(client: redis.asyncio.Redis) -> bool:
    told = await client.execute_command("CLUSTER", "INFO")
    text = told.decode() if isinstance(told, bytes) else str(told)
    state = "cluster_state:ok" in text or "'cluster_state': 'ok'" in text
    return state and f"{SLOTS}" in text and str(NODES) in text


async def _answers(client: redis.asyncio.Redis) -> None:
    while True:
        try:
            await client.ping()
            return
        except (RedisError, OSError):
            await asyncio.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
