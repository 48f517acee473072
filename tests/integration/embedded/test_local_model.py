"""The small model on this machine, as a provider's adapter sees it."""

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from cli.embedded.ports import Ports
from cli.embedded.probe import is_well


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """Its base URL."""
    with Ports() as ports:
        port = ports.claim(17090)
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.embedded.local_model", "--port", str(port)],
            stdout=subprocess.DEVNULL,
        )
        try:
            asyncio.run(_until_well(f"127.0.0.1:{port}"))
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            assert process.wait(30) == 0


async def _until_well(address: str) -> None:
    async with asyncio.timeout(60):
        while not await is_well(address, "http"):
            await asyncio.sleep(0.1)


def _post(url: str, **body: Any) -> bytes:
    request = urllib.request.Request(
        f"{url}/chat/completions",
        json.dumps({"model": "smollm2", "max_tokens": 24, **body}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def test_it_answers_with_usage(model: str) -> None:
    """A plain question gets a sensible answer, the same each time, and its tokens."""
    first = json.loads(_post(model, messages=QUESTION))
    assert "Paris" in first["choices"][0]["message"]["content"]
    assert first["choices"][0]["finish_reason"] == "stop"
    assert first["usage"]["prompt_tokens"] == 16
    assert first["usage"]["completion_tokens"] > 3
    again = json.loads(_post(model, messages=QUESTION))
    assert again["choices"][0]["message"] == first["choices"][0]["message"]


def test_it_streams_with_usage(model: str) -> None:
    """The pieces make up the answer; usage comes before the end mark when asked for."""
    told = _post(model, messages=QUESTION, stream=True, stream_options={"include_usage": True})
    lines = [line[6:] for line in told.decode().splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    events = [json.loads(line) for line in lines[:-1]]
    text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
    assert "Paris" in text
    assert events[-1]["usage"]["completion_tokens"] > 3


def test_it_keeps_to_json_when_asked(model: str) -> None:
    """response_format holds it to JSON."""
    messages = [{"role": "user", "content": "Name a colour in JSON."}]
    form = {"type": "json_schema", "json_schema": {"schema": {
        "type": "object", "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"],
    }}}  # fmt: skip
    told = json.loads(_post(model, messages=messages, response_format=form))
    assert json.loads(told["choices"][0]["message"]["content"])["colour"] in ("red", "blue")


def test_it_shows_no_prompts_to_others(model: str) -> None:
    """The runner's page of prompts under way is closed, and no web page may read answers."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(model.removesuffix("/v1") + "/slots", timeout=30)
    with caught.value as answer:
        assert answer.code == 501
        assert answer.headers["Access-Control-Allow-Origin"] != "*"
