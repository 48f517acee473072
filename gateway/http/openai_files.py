"""OpenAI's files at the HTTP door: what batches read and what they bring."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiohttp import BodyPartReader, web

from gateway.batches.files import INPUT, PIECE_BYTES, FileFacts
from gateway.batches.office import Office
from gateway.http.intake import Intake, Refusal, Route, json_response
from gateway.http.openai_words import OpenAIWords

PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX = 20, 10_000
PURPOSE_BYTES_MAX = 64
# For a whole file to arrive.
UPLOAD_SECONDS_MAX = 600.0


class OpenAIFiles:
    """gateway.http.intake.Part."""

    words = OpenAIWords()

    def __init__(self, intake: Intake, office: Office) -> None:
        self._intake = intake
        self._files = office.files

    def routes(self) -> Sequence[Route]:
        """Its paths."""
        return (
            Route("POST", "/v1/files", self._upload),
            Route("GET", "/v1/files", self._list),
            Route("GET", "/v1/files/{name}", self._facts),
            Route("GET", "/v1/files/{name}/content", self._content),
            Route("DELETE", "/v1/files/{name}", self._delete),
        )

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        if not request.content_type.startswith("multipart/"):
            raise Refusal(400, "the body must be multipart/form-data", code="bad_form")
        purpose = ""
        taken: FileFacts | None = None
        try:
            async with asyncio.timeout(UPLOAD_SECONDS_MAX):
                async for part in await request.multipart():
                    if not isinstance(part, BodyPartReader):
                        raise Refusal(400, "parts must not be nested", code="bad_form")
                    if part.name == "purpose":
                        purpose = await _short_text(part)
                    elif part.name == "file" and taken is None:
                        name = part.filename or "file.jsonl"
                        taken = await self._files.take(identity.tenant, name, _pieces(part))
                    else:
                        raise Refusal(400, "takes purpose and one file", code="bad_form")
            if purpose != INPUT:
                raise Refusal(400, 'must be "batch"', code="bad_purpose", param="purpose")
            if taken is None:
                raise Refusal(400, "is required", code="bad_form", param="file")
        except TimeoutError:
            message = f"the file did not arrive within {UPLOAD_SECONDS_MAX:g} s"
            raise Refusal(408, message, code="body_timeout") from None
        except ValueError:
            raise Refusal(400, "the form is not as it should be", code="bad_form") from None
        except Refusal:
            if taken is not None:
                await asyncio.to_thread(self._files.delete, identity.tenant, taken.file_id)
            raise
        return json_response(200, _told(taken))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        count = page_size(request, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        after = request.query.get("after", "")
        purpose = request.query.get("purpose", "")
        found = [
            facts
            for facts in await asyncio.to_thread(self._files.all, identity.tenant)
            if (not after or facts.file_id < after) and purpose in ("", facts.purpose)
        ]
        data = [_told(facts) for facts in found[:count]]
        return json_response(200, listed(data, has_more=len(found) > count))

    async def _facts(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        name = request.match_info["name"]
        facts = await asyncio.to_thread(self._files.facts, identity.tenant, name)
        return json_response(200, _told(facts))

    async def _content(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        name = request.match_info["name"]
        facts = await asyncio.to_thread(self._files.facts, identity.tenant, name)
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        response.content_length = facts.size
        await response.prepare(request)
        async for piece in self._files.content(identity.tenant, name):
            try:
                async with asyncio.timeout(self._intake.limits.write_seconds_max):
                    await response.write(piece)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
                break
        return response

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        identity = await self._intake.identify(request)
        name = request.match_info["name"]
        await asyncio.to_thread(self._files.delete, identity.tenant, name)
        return json_response(200, {"id": name, "object": "file", "deleted": True})


def page_size(request: web.Request, default: int, most: int) -> int:
    """The `limit` of a listing. Raises: Refusal."""
    text = request.query.get("limit", str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most):
        raise Refusal(400, f"is between 1 and {most}", code="bad_limit", param="limit")
    return int(text)


def listed(data: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page as OpenAI's API has it."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


def _told(facts: FileFacts) -> dict[str, Any]:
    return {
        "id": facts.file_id,
        "object": "file",
        "bytes": facts.size,
        "created_at": facts.create_seconds,
        "filename": facts.name,
        "purpose": facts.purpose,
        "status": "processed",
    }


async def _short_text(part: BodyPartReader) -> str:
    content = await part.read_chunk(PURPOSE_BYTES_MAX + 1)
    if len(content) > PURPOSE_BYTES_MAX or (not part.at_eof() and await part.read_chunk(1)):
        raise Refusal(400, "is too long", code="bad_purpose", param="purpose")
    return content.decode("utf-8", "replace")


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(PIECE_BYTES):
        yield piece
