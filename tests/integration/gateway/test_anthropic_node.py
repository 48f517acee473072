"""Node's official Anthropic SDK, unchanged, through the HTTP door to Anthropic's wire format."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.fakes.anthropic_calls import anthropic_of
from tests.fakes.anthropic_scripts import content_of
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.http_door import KEY
from tests.fakes.provider_door import ProviderDoor, open_door

HERE = Path(__file__).parents[2] / "sdks" / "anthropic"
MODELS = ("happy", "tools", "thinking", "cited", "server")

pytestmark = [
    pytest.mark.skipif(not shutil.which("npm"), reason="npm, which the SDK comes by, not found"),
    pytest.mark.timeout(120),
]


async def run(*command: str, cwd: Path, **environ: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, f"{command}\n{out.decode()[-2000:]}{err.decode()[-2000:]}"
    return out.decode()


async def test_node_gets_what_anthropic_said(tmp_path: Path) -> None:
    """The same blocks whole and streamed; thoughts go back unharmed; refusals are exceptions."""
    home = tmp_path / "client"
    shutil.copytree(HERE, home, ignore=shutil.ignore_patterns("node_modules"))
    await run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=home)
    async with (
        AnthropicUpstream() as upstream,
        anthropic_of(upstream) as provider,
        open_door(ProviderDoor(provider)) as url,
    ):
        environ = {
            "DOOR_URL": url,
            "DOOR_KEY": KEY,
            "DOOR_MODELS": ",".join(MODELS),
            "DOOR_THINKS": "thinking",
        }
        out = await run("node", "turns.js", cwd=home, **environ)
        body = upstream.seen[0].body
    *turns, counted, refused = (json.loads(line) for line in out.splitlines())
    for model, told in zip(MODELS, turns, strict=True):
        wanted = content_of(model, body)
        assert told["whole"]["content"] == told["streamed"]["content"] == wanted
        assert told["whole"]["stop_reason"] == told["streamed"]["stop_reason"]
        assert (told["first"], told["last"]) == ("message_start", "message_stop")
        assert (told["whole"]["usage"]["input_tokens"], told["output_tokens"]) == (11, 5)
        assert told["cost"] == "1.234567890"
    assert upstream.seen[-2].body["messages"][1]["content"] == content_of("thinking", body)
    assert counted == {"counted": 17}
    assert refused == {
        "refused": "BadRequestError",
        "type": "invalid_request_error",
        "status": 400,
    }
