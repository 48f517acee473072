"""The official OpenAI SDK for Node, unchanged, against the HTTP door over a real socket."""

import asyncio
import json
import os
import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.errors import ERRORS, Overloaded
from gateway.http.intake import EdgeLimits
from gateway.http.parts import make_edge
from gateway.http.server import HttpServer
from gateway.providers.http import open_session
from gateway.providers.openai import OpenAIProvider
from gateway.providers.responses import ResponsesProvider
from tests.fakes.http_door import KEY, FakeDoor
from tests.fakes.openai_scripts import answer_to
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import line_of
from tests.fakes.provider_door import ProviderDoor
from tests.fakes.responses_scripts import CALL, MESSAGE, REASONING, events, response
from tests.fakes.wire_upstream import WireUpstream

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("node") and shutil.which("npm")), reason="needs Node and npm"
    ),
    pytest.mark.timeout(300),
]
HOME = Path(__file__).parents[2] / "sdks" / "node"
CALLS = [["weather", {"city": "Zürich", "days": 3}]] * 2


async def run(*command, cwd, **environ):
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out + err).decode()[-2000:]
    return out.decode()


async def serve(stack, door):
    limits = EdgeLimits()
    edge = make_edge(door, ERRORS, limits, ready=lambda: True, new_id=lambda: "s", now=time.time)
    server = HttpServer(edge, limits)
    await server.start("127.0.0.1:0")
    stack.push_async_callback(server.stop)
    return f"http://{server.address}/v1"


async def test_nodes_sdk(tmp_path):
    """What is asked arrives, what is answered is read, an error tells when to come back."""
    shutil.copytree(HOME, tmp_path / "node")
    install = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    await run(*install, cwd=tmp_path / "node")
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(OpenAIUpstream())
        wire = await stack.enter_async_context(
            WireUpstream([response(REASONING, MESSAGE, CALL), events(REASONING, MESSAGE, CALL)])
        )
        session = await stack.enter_async_context(open_session())
        line = line_of(session)
        chat, responses = ProviderDoor(), ProviderDoor()
        chat.provider = OpenAIProvider(line, base_url=upstream.base_url, api_key=None)
        responses.provider = ResponsesProvider(line, base_url=f"{wire.address}/v1", api_key=None)
        out = await run(
            "node",
            "golden.mjs",
            cwd=tmp_path / "node",
            KEY=KEY,
            CHAT_URL=await serve(stack, chat),
            RESPONSES_URL=await serve(stack, responses),
            FULL_URL=await serve(stack, FakeDoor(fails=Overloaded(100))),
        )
    told = dict(map(json.loads, out.splitlines()))
    text = answer_to(upstream.seen[0].body)
    assert told["chat"]["text"] == told["chat_stream"]["text"] == text
    assert told["chat"]["usage"] == told["chat_stream"]["usage"]
    assert told["chat"]["cost"] == 1_234_567_890
    assert told["tools"] == told["tools_stream"] == CALLS
    assert told["schema_and_vision"] == "stop"
    seen = upstream.seen[-1].body
    assert seen["response_format"]["json_schema"]["strict"] is True
    assert seen["messages"][0]["content"][1]["image_url"]["detail"] == "low"
    items = ["reasoning", "message", "function_call"]
    assert told["responses"] == {"text": "Guten Tag 🕰", "items": items, "total": 130}
    assert told["responses_stream"] == {
        "text": "Guten Tag 🕰",
        "items": items,
        "first": "response.created",
        "last": "response.completed",
    }
    assert told["embeddings"] == [[0.5, -1.5]] * 2
    assert told["models"] == ["org/small", "large"]
    assert told["overloaded"] == {"status": 503, "code": "OVERLOADED", "retry": "1"}
