"""OpenAI's files and batches, as a part of the server on loopback (openai_upstream.py).

A batch moves on one stage a look: validating, in_progress, completed; with `held` set it stays in
progress until that is cleared. What becomes of a line hangs on its model's name: `fail-400` goes to
the error file, `lost` is in neither, `expire` expires, anything else is answered. `calls` of the
server counts lines worked on under their model's name with "batch/" before it.
"""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.openai_scripts import answer_to, usage_of, words_in

ENDS = {"completed", "expired", "cancelled", "failed"}


class BatchDesk:
    """The endpoint's own books."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.held = False
        # How often each batch was looked at.
        self.looks = 0
        # What the next batches to be made are refused with, after they were made all the same.
        self.lose_answers = 0
        self._count = count

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._get)
        app.router.add_post("/v1/batches/{id}/cancel", self._cancel)
        app.router.add_post("/control/batches", self._control)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        assert form["purpose"] == "batch"
        file = form["file"]
        assert isinstance(file, web.FileField)
        return web.json_response({"id": self._keep(file.file.read()), "object": "file"})

    def _keep(self, content: bytes) -> str:
        file_id = f"file-up{len(self.files)}"
        self.files[file_id] = content
        return file_id

    async def _content(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _create(self, request: web.Request) -> web.StreamResponse:
        wanted = await request.json()
        assert wanted["endpoint"] == "/v1/chat/completions"
        assert wanted["completion_window"] == "24h"
        batch_id = f"batch_up{len(self.batches)}"
        lines = self.files[wanted["input_file_id"]].splitlines()
        self.batches[batch_id] = {
            "id": batch_id,
            "object": "batch",
            "status": "validating",
            "metadata": wanted.get("metadata"),
            "input_file_id": wanted["input_file_id"],
            "output_file_id": None,
            "error_file_id": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }
        if self.lose_answers:
            self.lose_answers -= 1
            return web.json_response({"error": {"message": "gateway"}}, status=502)
        return web.json_response(self.batches[batch_id])

    async def _list(self, request: web.Request) -> web.StreamResponse:
        found = list(reversed(self.batches.values()))
        return web.json_response({"object": "list", "data": found, "has_more": False})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.looks += 1
        batch = self.batches[request.match_info["id"]]
        if batch["status"] == "validating":
            models = {each["body"]["model"] for each in self._lines(batch)}
            batch["status"] = "failed" if models == {"refuse"} else "in_progress"
        elif batch["status"] == "in_progress" and not self.held:
            self._work(batch, "completed")
        elif batch["status"] == "cancelling":
            self._work(batch, "cancelled")
        return web.json_response(batch)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        batch = self.batches[request.match_info["id"]]
        if batch["status"] in ENDS:
            return web.json_response({"error": {"message": "has ended"}}, status=409)
        batch["status"] = "cancelling"
        return web.json_response(batch)

    async def _control(self, request: web.Request) -> web.StreamResponse:
        self.held = (await request.json())["held"]
        return web.json_response({})

    def _lines(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    def _work(self, batch: dict[str, Any], end: str) -> None:
        output, errors = [], []
        # A cancelled batch has done its first line.
        lines = self._lines(batch)
        done = lines[:1] if end == "cancelled" else lines
        for line in done:
            self._answer(line, output, errors)
        for line in lines[len(done) :]:
            errors.append(_lost(line, "batch_cancelled"))
        batch["status"] = end
        if output:
            batch["output_file_id"] = self._keep("".join(output).encode())
        if errors:
            batch["error_file_id"] = self._keep("".join(errors).encode())

    def _answer(self, line: dict[str, Any], output: list[str], errors: list[str]) -> None:
        body = line["body"]
        script = body["model"].partition(":")[0]
        if script == "lost":
            return
        if script == "expire":
            errors.append(_lost(line, "batch_expired"))
            return
        self._count(f"batch/{body['model']}")
        if script == "fail-400":
            told = {"error": {"message": "canary-in-batch", "type": "invalid_request_error"}}
            errors.append(_line(line, 400, told))
            return
        text = answer_to(body)
        told = {
            "id": "chatcmpl-batch",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
            "usage": usage_of(words_in(body["messages"]), len(text.split())),
        }
        # In another order than they came, as the real one does.
        output.insert(0, _line(line, 200, told))


def _line(line: dict[str, Any], status: int, body: dict[str, Any]) -> str:
    response = {"status_code": status, "request_id": "req-up", "body": body}
    told = {"id": "breq", "custom_id": line["custom_id"], "response": response, "error": None}
    return json.dumps(told) + "\n"


def _lost(line: dict[str, Any], code: str) -> str:
    error = {"code": code, "message": "was not worked on"}
    told = {"id": "breq", "custom_id": line["custom_id"], "response": None, "error": error}
    return json.dumps(told) + "\n"
