"""What the fake of OpenAI's API can do to a caller: one play for each script's name."""

import asyncio
import base64
import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

# Bytes that an answer can never be, and that hold what no error may repeat.
GARBAGE = b"\x00<html>canary-in-garbage</html>"
ERROR_CANARY = "canary-in-upstream-error sk-canary-0123456789"
BOMB_BYTES = 256 * 2**20
RETRY_AFTER_SECONDS = 7
WORDS_OF_A_SLOW_ANSWER = 1_000
SECONDS_BETWEEN_SLOW_WORDS = 0.01
SECONDS_BEFORE_A_LATE_ANSWER = 0.5


@dataclass
class Turn:
    """One request being answered."""

    request: web.Request
    body: dict[str, Any]
    call_number: int
    script: str

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @property
    def head(self) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-fake-{_digest(self.body)}",
            "object": "chat.completion.chunk" if self.streams else "chat.completion",
            "created": 1_700_000_000,
            "model": f"{self.body['model']}-2026-01-01",
        }

    def usage(self) -> dict[str, Any]:
        limit = self.body.get("max_completion_tokens") or self.body.get("max_tokens") or 10**9
        written = sum(
            min(len(answer_to(self.body, index).split()), limit)
            for index in range(self.body.get("n") or 1)
        )
        return usage_of(words_in(self.body["messages"]), written)


def usage_of(read: int, written: int) -> dict[str, Any]:
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def words_in(messages: list[dict[str, Any]]) -> int:
    """Tokens as this server counts them: words, and three a message."""
    return sum(3 + len(_text_of(message).split()) for message in messages)


def answer_to(body: dict[str, Any], index: int = 0) -> str:
    """The text of the answer: the same for the same request, another for any other."""
    last = _text_of(body["messages"][-1])
    return f"Answer {_digest({**body, 'index': index})} to {len(last)} characters: {last[:200]}"


def _digest(body: dict[str, Any]) -> str:
    # How the answer travels does not change it.
    told = {name: body[name] for name in body if name not in {"stream", "stream_options"}}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _cut(text: str, limit: int | None) -> tuple[str, str]:
    words = text.split(" ")
    if limit is not None and len(words) > limit:
        return " ".join(words[:limit]), "length"
    return text, "stop"


async def happy(turn: Turn) -> web.StreamResponse:
    return await _answer(turn, turn.usage())


def vector_of(text: Any, dimensions: int) -> list[float]:
    """A vector of single-precision numbers that depends on the text alone."""
    seed = hashlib.sha256(json.dumps(text).encode()).digest()
    return [seed[at % len(seed)] / 256 - 0.5 for at in range(dimensions)]


async def embeddings(turn: Turn) -> web.StreamResponse:
    """POST /embeddings. Tokens are words, or those that were sent."""
    given = turn.body["input"]
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    read = sum(len(one) if isinstance(one, list) else len(one.split()) for one in inputs)
    data = []
    for at, one in enumerate(inputs):
        vector: Any = vector_of(one, turn.body.get("dimensions") or 8)
        if turn.body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": at, "embedding": vector})
    usage = {"prompt_tokens": read, "total_tokens": read}
    told = {"object": "list", "data": data, "model": turn.body["model"], "usage": usage}
    return web.json_response(told)


async def _answer(turn: Turn, usage: dict[str, Any] | None, **message: Any) -> web.StreamResponse:
    limit = turn.body.get("max_completion_tokens") or turn.body.get("max_tokens")
    choices = []
    for index in range(turn.body.get("n") or 1):
        text, reason = _cut(answer_to(turn.body, index), limit)
        told = {"role": "assistant", "content": text, "refusal": None, **message}
        if "tool_calls" in message:
            reason = "tool_calls"
        choices.append({"index": index, "message": told, "finish_reason": reason, "logprobs": None})
    if turn.streams:
        return await _stream(turn, _chunks(turn, choices, usage))
    whole = {**turn.head, "choices": choices}
    return web.json_response(whole if usage is None else {**whole, "usage": usage})


def _chunks(
    turn: Turn, choices: list[dict[str, Any]], usage: dict[str, Any] | None
) -> list[dict[str, Any]]:
    chunks: list[dict[str, Any]] = []

    def add(index: int, delta: dict[str, Any], reason: str | None = None) -> None:
        choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}
        chunks.append({**turn.head, "choices": [choice]})

    for choice in choices:
        index, message = choice["index"], choice["message"]
        add(index, {"role": "assistant", "content": ""})
        for field_name in ("content", "refusal", "reasoning_content"):
            words = (message.get(field_name) or "").split(" ")
            for at, word in enumerate(words if words != [""] else []):
                add(index, {field_name: word if at == 0 else " " + word})
        for at, call in enumerate(message.get("tool_calls") or []):
            arguments = call["function"]["arguments"]
            named = {**call, "index": at, "function": {**call["function"], "arguments": ""}}
            add(index, {"tool_calls": [named]})
            for start in range(0, len(arguments), 5):
                piece = {"index": at, "function": {"arguments": arguments[start : start + 5]}}
                add(index, {"tool_calls": [piece]})
        add(index, {}, choice["finish_reason"])
    if usage is not None and turn.wants_usage:
        chunks.append({**turn.head, "choices": [], "usage": usage})
    return chunks


async def _stream(
    turn: Turn, chunks: list[dict[str, Any]], *, done: bool = True
) -> web.StreamResponse:
    response = await _begin(turn)
    for chunk in chunks:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    if done:
        await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _begin(turn: Turn) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(turn.request)
    return response


def _plain_chunks(turn: Turn) -> list[dict[str, Any]]:
    text, reason = _cut(answer_to(turn.body), None)
    message = {"content": text}
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    return _chunks(turn, choices, turn.usage())


async def _odd_splits(turn: Turn) -> web.StreamResponse:
    """A stream with comments, foreign fields, CR LF, cut at every place."""
    response = await _begin(turn)
    text = b"\xef\xbb\xbf: a comment\r\n\r\n"
    for chunk in _plain_chunks(turn):
        shown = json.dumps(chunk, ensure_ascii=False).encode()
        text += b"event: message\r\nid: 1\r\ndata:" + shown + b"\r\n\r\n: ping\r\n\r\n"
    text += b"data: [DONE]\r\n\r\n"
    at, size = 0, 1
    while at < len(text):
        await response.write(text[at : at + size])
        at, size = at + size, size % 7 + 1
    await response.write_eof()
    return response


async def _tools(turn: Turn) -> web.StreamResponse:
    name = turn.body["tools"][0]["function"]["name"]
    arguments = json.dumps({"city": "Zürich", "days": 3})
    calls = [
        {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for at in range(2)
    ]
    return await _answer(turn, turn.usage(), content=None, tool_calls=calls)


async def _refusal(turn: Turn) -> web.StreamResponse:
    return await _answer(turn, turn.usage(), content=None, refusal="I would rather not.")


async def _reasoning(turn: Turn) -> web.StreamResponse:
    return await _answer(turn, turn.usage(), reasoning_content="First this, then that.")


def _with_usage(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> "Play":
    async def play(turn: Turn) -> web.StreamResponse:
        return await _answer(turn, change(turn.usage()))

    return play


def _cached(usage: dict[str, Any]) -> dict[str, Any]:
    return {**usage, "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0}}


def _with_reasoning(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        **usage_of(usage["prompt_tokens"], usage["completion_tokens"] + 40),
        "completion_tokens_details": {"reasoning_tokens": 40},
    }


def _more_cached_than_read(usage: dict[str, Any]) -> dict[str, Any]:
    return {**usage, "prompt_tokens_details": {"cached_tokens": usage["prompt_tokens"] + 1}}


def _fail(status: int, code: str | None = None, headers: dict[str, str] | None = None) -> "Play":
    async def play(_: Turn) -> web.StreamResponse:
        error = {"message": ERROR_CANARY, "type": "error", "param": "temperature", "code": code}
        return web.json_response({"error": error}, status=status, headers=headers)

    return play


async def _flaky(turn: Turn) -> web.StreamResponse:
    """Fails twice, then answers."""
    if turn.call_number <= 2:
        return await _fail(503)(turn)
    return await happy(turn)


async def _hang(turn: Turn) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def _hang_mid_stream(turn: Turn) -> web.StreamResponse:
    response = await _begin(turn)
    for chunk in _plain_chunks(turn)[:3]:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await asyncio.Event().wait()
    return response


async def _slow(turn: Turn) -> web.StreamResponse:
    response = await _begin(turn)
    for number in range(WORDS_OF_A_SLOW_ANSWER):
        choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
        chunk = {**turn.head, "choices": [choice]}
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await asyncio.sleep(SECONDS_BETWEEN_SLOW_WORDS)
    await response.write(b"data: [DONE]\n\n")
    return response


async def _late(turn: Turn) -> web.StreamResponse:
    """Answers as a model does that has to think first."""
    await asyncio.sleep(SECONDS_BEFORE_A_LATE_ANSWER)
    return await happy(turn)


async def _garbage(turn: Turn) -> web.StreamResponse:
    if turn.streams:
        response = await _begin(turn)
        await response.write(b"data: " + GARBAGE + b"\n\n")
        return response
    return web.Response(body=GARBAGE, content_type="application/json")


async def _reset(turn: Turn) -> web.StreamResponse:
    assert turn.request.transport is not None
    turn.request.transport.abort()
    return web.Response()


async def _reset_mid_stream(turn: Turn) -> web.StreamResponse:
    response = await _begin(turn)
    for chunk in _plain_chunks(turn)[:3]:
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await asyncio.sleep(0.02)
    return await _reset(turn)


async def _cut_short(turn: Turn) -> web.StreamResponse:
    """Ends its response properly, but in the middle of the answer."""
    return await _stream(turn, _plain_chunks(turn)[:3], done=False)


async def _no_done(turn: Turn) -> web.StreamResponse:
    return await _stream(turn, _plain_chunks(turn), done=False)


async def _error_in_stream(turn: Turn) -> web.StreamResponse:
    failed = {"error": {"message": ERROR_CANARY, "type": "server_error"}}
    if not turn.streams:
        return web.json_response(failed)
    return await _stream(turn, [*_plain_chunks(turn)[:3], failed], done=False)


async def _redirect(_: Turn) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("/elsewhere")


async def _bomb(_: Turn) -> web.StreamResponse:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(2**20)
    packed = b"".join(packer.compress(zeros) for _ in range(BOMB_BYTES // len(zeros)))
    return web.Response(body=packed + packer.flush(), headers=headers)


async def _packed(turn: Turn) -> web.StreamResponse:
    response = await _answer(turn, turn.usage())
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    return web.Response(body=gzip.compress(response.body), headers=headers)


Play = Callable[[Turn], Awaitable[web.StreamResponse]]

SCRIPTS: dict[str, Play] = {
    "odd-splits": _odd_splits,
    "tools": _tools,
    "refusal": _refusal,
    "reasoning": _reasoning,
    "usage-missing": _with_usage(lambda usage: None),
    "usage-cached": _with_usage(_cached),
    "usage-reasoning": _with_usage(_with_reasoning),
    "usage-impossible": _with_usage(_more_cached_than_read),
    "fail-400": _fail(400),
    "fail-400-context": _fail(400, "context_length_exceeded"),
    "fail-401": _fail(401, "invalid_api_key"),
    "fail-404": _fail(404, "model_not_found"),
    "fail-429": _fail(429, "rate_limit_exceeded", {"Retry-After": str(RETRY_AFTER_SECONDS)}),
    "fail-429-quota": _fail(429, "insufficient_quota"),
    "fail-500": _fail(500),
    "fail-503": _fail(503),
    "fail-504": _fail(504),
    "flaky": _flaky,
    "hang": _hang,
    "hang-mid-stream": _hang_mid_stream,
    "slow": _slow,
    "late": _late,
    "garbage": _garbage,
    "reset": _reset,
    "reset-mid-stream": _reset_mid_stream,
    "cut-short": _cut_short,
    "no-done": _no_done,
    "error-in-stream": _error_in_stream,
    "redirect": _redirect,
    "bomb": _bomb,
    "packed": _packed,
}
