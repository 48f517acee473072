"""Metrics of a real process, read as Prometheus reads them."""

import asyncio
import os
import re
import sys

import aiohttp
import pytest

ADDRESS = re.compile(
    r'"message": ?"metrics".*"address": ?"([^"]+)"|"address": ?"([^"]+)".*"metrics"'
)


@pytest.fixture
async def tokenizer():
    environ = {name: value for name, value in os.environ.items() if "SPENDGATE" not in name}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.tokenizer",
        env={**environ, "SPENDGATE_METRICS_LISTEN": "127.0.0.1:0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    yield process
    process.terminate()
    await process.wait()


async def test_prometheus_finds_loop_lag_memory_and_calls(tokenizer):
    """What an operator alerts on is there from the first second."""
    address = ""
    while not address:
        line = (await tokenizer.stdout.readline()).decode()
        assert line, "the process ended"
        if found := ADDRESS.search(line):
            address = found[1] or found[2]
    async with aiohttp.ClientSession() as session:
        page = ""
        while "spendgate_loop_lag_seconds_count" not in page:
            async with session.get(f"http://{address}/metrics") as response:
                assert response.status == 200
                page = await response.text()
            await asyncio.sleep(0.05)
    assert "process_resident_memory_bytes" in page
    assert 'service_name="spendgate-tokenizer"' in page
