"""`spendgate cache ...` against a cache on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from spendgate.cache.v1 import cache_service_pb2 as pb
from typer.testing import CliRunner

from cli import cache as commands
from cli.embedded.redis import RedisServer
from tests.integration.cache.conftest import Cache, say
from tests.integration.cache.test_semantic import CAPITAL, REWORDED, near, put, semantic_cache


class Shell:
    """The command line, talking to one cache."""

    def __init__(self, cache: Cache, address: str) -> None:
        self.cache = cache
        self._address = address
        self._app = typer.Typer()
        commands.register(self._app)

    async def __call__(self, *words: str, code: int = 0) -> str:
        arguments = ["cache", *words, "--cache", self._address, "--tenant", "acme"]
        done = await asyncio.to_thread(CliRunner().invoke, self._app, arguments)
        assert done.exit_code == code, done.output
        return done.output

    async def json(self, *words: str) -> Any:
        return json.loads(await self(*words, "--json"))


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with RedisServer(tmp_path / "redis") as server, semantic_cache(server) as cache:
        await put(cache, near(feature="faq"), say("Paris."), tags=["v=1"])
        yield Shell(cache, cache.address)


async def test_explain_says_what_was_near_and_what_refused_it(shell: Shell) -> None:
    """Hits, misses and prompts that are not looked up for likeness: each with its reason."""
    assert (await shell("explain", CAPITAL)).startswith("exact; key ")
    served = await shell("explain", REWORDED[1])
    assert served.startswith("semantic; key ")
    assert "served" in served
    refused = await shell("explain", "near what is the capital of france?")
    assert "refused: verifier" in refused
    assert "no semantic look-up: exact_only" in await shell("explain", "what is my name")
    found = await shell.json("explain", REWORDED[1])
    assert found["outcome"] == "OUTCOME_SEMANTIC"
    assert "nothing near" in await shell("explain", "something else", "--system", "Help.")


async def test_a_wrong_hit_is_reported(shell: Shell) -> None:
    """The entry goes; a second report finds nothing."""
    entry = (await shell.json("explain", CAPITAL))["entryKey"]
    assert "is gone" in await shell("report-wrong", entry)
    assert "no such answer" in await shell("report-wrong", entry)
    assert (await shell("explain", CAPITAL)).startswith("miss; key ")


async def test_invalidation_counts_first(shell: Shell) -> None:
    """Without --yes nothing goes; with it, what matched; no filter at all is refused."""
    assert "1 of 1 answers match" in await shell("invalidate", "--feature", "faq")
    assert "0 of 1 answers match" in await shell("invalidate", "--tag", "v=2")
    assert "0 of 1 answers match" in await shell("invalidate", "--until", "1h")
    assert "1 answers are gone" in await shell("invalidate", "--since", "1h", "--yes")
    await shell("invalidate", code=2)
    await shell("invalidate", "--since", "nonsense", "--yes", code=2)


async def test_stats_show_hits_and_money(shell: Shell) -> None:
    """Counters as a table and as JSON; nothing yet is said in words."""
    item = near(REWORDED[0], feature="faq")
    item.explain = False
    assert (await shell.cache.find(item)).outcome == pb.OUTCOME_SEMANTIC
    await asyncio.sleep(1.2)
    shown = await shell("stats")
    assert "faq" in shown
    assert "1 answers are kept." in shown
    told = await shell.json("stats", "--days", "1")
    assert told["total"]["semanticHitCount"] == "1"
