"""A server on loopback that speaks AWS's Converse and ConverseStream.

The shapes and the framing are those of AWS's API reference. A script is the model's name up to the
first ":"; a name that is no script answers happily.
"""

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

USAGE = {
    "inputTokens": 11,
    "outputTokens": 5,
    "totalTokens": 2_316,
    "cacheReadInputTokens": 2_000,
    "cacheWriteInputTokens": 300,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 100}],
}
REDACTED = base64.b64encode(b"hidden").decode()
ERRORS: dict[str, tuple[int, str]] = {
    "too-long": (400, "Input is too long for requested model."),
    "too-long-inside": (
        400,
        "The model returned the following errors: prompt is too long: 210000 tokens > 200000",
    ),
    "invalid": (400, "canary"),
    "throttled": (429, "Too many tokens, please wait before trying again. canary"),
    "denied": (403, "canary"),
    "model-failed": (424, "canary"),
    "away": (503, "canary"),
}


def content_of(script: str) -> list[dict[str, Any]]:
    """The answer's blocks."""
    call = {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Zürich"}}
    thought = {"text": "It is late.", "signature": "c2ln"}
    scripts: dict[str, list[dict[str, Any]]] = {
        "tools": [
            {"text": "On it."},
            {"toolUse": call},
            {"toolUse": {**call, "toolUseId": "tooluse_2"}},
        ],
        "thinking": [
            {"reasoningContent": {"reasoningText": thought}},
            {"reasoningContent": {"redactedContent": REDACTED}},
            {"text": "Late."},
        ],
    }
    return scripts.get(script, [{"text": "Hello you"}])


def reason_of(script: str) -> str:
    """Why the answer stopped."""
    return {
        "tools": "tool_use",
        "long": "max_tokens",
        "guarded": "guardrail_intervened",
    }.get(script, "end_turn")


@dataclass
class BedrockUpstream:
    """The server. What it saw can be read at any time."""

    seen: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """To be configured as the provider's base_url."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/model/{model}/{verb}", self._converse)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.raw_path, dict(request.headers), await request.json()))
        script = request.match_info["model"].partition(":")[0]
        if script in ERRORS:
            status, message = ERRORS[script]
            return web.json_response({"message": message}, status=status)
        if request.match_info["verb"] == "converse":
            told = {"role": "assistant", "content": content_of(script)}
            answer = {
                "output": {"message": told},
                "stopReason": reason_of(script),
                "usage": USAGE,
                "metrics": {"latencyMs": 1},
            }
            return web.json_response(answer)
        kind = "application/vnd.amazon.eventstream"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        whole = b"".join(frames_of(script))
        for at in range(0, len(whole), 37):
            await response.write(whole[at : at + 37])
        await response.write_eof()
        return response


def frames_of(script: str) -> Iterator[bytes]:
    """A stream, frame by frame."""
    yield frame("messageStart", {"role": "assistant"})
    for index, block in enumerate(content_of(script)):
        yield from _block(index, block)
        if script == "cut":
            return
        if script == "broken":
            yield b"\0" * 20
        if script == "exception":
            yield frame("throttlingException", {"message": "canary"}, kind="exception")
            return
    yield frame("messageStop", {"stopReason": reason_of(script)})
    yield frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})


def _block(index: int, block: dict[str, Any]) -> Iterator[bytes]:
    at = {"contentBlockIndex": index}
    deltas: list[dict[str, Any]] = []
    if "text" in block:
        deltas = [{"text": block["text"][:3]}, {"text": block["text"][3:]}]
    elif "toolUse" in block:
        call = block["toolUse"]
        start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
        yield frame("contentBlockStart", {**at, "start": start})
        text = json.dumps(call["input"], ensure_ascii=False, separators=(",", ":"))
        deltas = [{"toolUse": {"input": text[:4]}}, {"toolUse": {"input": text[4:]}}]
    else:
        thought = block["reasoningContent"]
        deltas = [{"reasoningContent": thought}]
        if text := thought.get("reasoningText"):
            deltas = [{"reasoningContent": {name: text[name]}} for name in ("text", "signature")]
    for delta in deltas:
        yield frame("contentBlockDelta", {**at, "delta": delta})
    yield frame("contentBlockStop", at)


def frame(name: str, payload: dict[str, Any], kind: str = "event") -> bytes:
    """One message of the framing."""
    named = ":event-type" if kind == "event" else ":exception-type"
    texts = {":message-type": kind, named: name, ":content-type": "application/json"}
    headers = b"".join(
        bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) + v.encode()
        for k, v in texts.items()
    )
    content = json.dumps(payload).encode()
    head = struct.pack(">II", 16 + len(headers) + len(content), len(headers))
    whole = head + struct.pack(">I", binascii.crc32(head)) + headers + content
    return whole + struct.pack(">I", binascii.crc32(whole))
