"""OpenAI's Batch API (files and batches) behind the batch port."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from pydantic import SecretStr

from chassis.deadline import Deadline
from chassis.errors import InvalidFields
from gateway.openai.answer import BadAnswer, FailedInside, read_answer
from gateway.openai.render import render_prompt
from gateway.providers.batch_port import BatchItemResult, BatchStage
from gateway.providers.dialects import dialect_of
from gateway.providers.http import HttpLimits, ProviderHttp
from gateway.providers.port import (
    Billed,
    ProviderCall,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    Unavailability,
)

ENDPOINT = "/v1/chat/completions"
LINE_BYTES_MAX = 32 * 2**20
PAGE_ITEMS = 100
# Pages of batches to look through for one of ours: the newest come first.
PAGES_MAX = 50
NAME_KEY = "spendgate_batch"
_STAGES = {
    "completed": BatchStage.ENDED,
    "expired": BatchStage.ENDED,
    "cancelled": BatchStage.ENDED,
    "failed": BatchStage.REFUSED,
}
# What was not worked on; it is not billed.
_LOST = frozenset({"batch_expired", "batch_cancelled"})
_PASSING = frozenset({408, 409, 429})


class OpenAIBatches:
    """gateway.providers.batch_port.BatchProvider of the server at `base_url`."""

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        api_key: SecretStr | None,
        session: aiohttp.ClientSession,
        limits: HttpLimits,
        now: Callable[[], float],
    ) -> None:
        """`name` is the configured one."""
        self._name = name
        self._base = base_url.rstrip("/")
        self._limit_field = dialect_of(base_url).limit_field
        self._http = ProviderHttp(name, session, limits, now)
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "spendgate"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key.get_secret_value()}"

    def line(self, item_id: str, call: ProviderCall) -> bytes:
        """An item of the input file. Raises: ProviderRefused."""
        try:
            body = {
                "model": call.model,
                **render_prompt(call.prompt),
                self._limit_field: call.output_tokens_max,
            }
            item = {"custom_id": item_id, "method": "POST", "url": ENDPOINT, "body": body}
            return orjson.dumps(item) + b"\n"
        except (InvalidFields, orjson.JSONEncodeError):
            raise ProviderRefused(self._name, http_status=400) from None

    async def submit(self, items: Path, name: str, deadline: Deadline) -> str:
        """Uploads the file, makes a batch of it. Raises: ProviderRefused, ProviderUnavailable."""
        with items.open("rb") as file:
            form = aiohttp.FormData()
            form.add_field("purpose", "batch")
            form.add_field("file", file, filename="batch.jsonl", content_type="application/jsonl")
            uploaded = await self._json("POST", "/files", deadline, body=form)
        wanted = {
            "input_file_id": self._text(uploaded, "id"),
            "endpoint": ENDPOINT,
            "completion_window": "24h",
            "metadata": {NAME_KEY: name},
        }
        made = await self._json("POST", "/batches", deadline, json=wanted)
        return self._text(made, "id")

    async def find(self, name: str, deadline: Deadline) -> str | None:
        """The batch whose metadata names it. Raises: ProviderRefused, ProviderUnavailable."""
        after = ""
        for _ in range(PAGES_MAX):
            query = f"?limit={PAGE_ITEMS}" + (f"&after={after}" if after else "")
            page = await self._json("GET", f"/batches{query}", deadline)
            data = page.get("data")
            batches = [each for each in data if isinstance(each, dict)] if data else []
            for batch in batches:
                if (batch.get("metadata") or {}).get(NAME_KEY) == name:
                    return self._text(batch, "id")
            if not batches or not page.get("has_more"):
                return None
            after = self._text(batches[-1], "id")
        return None

    async def look(self, batch_id: str, deadline: Deadline) -> BatchStage:
        """Where it is. Raises: ProviderRefused, ProviderUnavailable."""
        batch = await self._batch(batch_id, deadline)
        return _STAGES.get(str(batch.get("status")), BatchStage.UNDER_WAY)

    async def results(
        self, batch_id: str, deadline: Deadline
    ) -> AsyncGenerator[BatchItemResult, None]:
        """The lines of its output file, then of its error file.

        Raises: ProviderRefused, ProviderUnavailable.
        """
        batch = await self._batch(batch_id, deadline)
        for field in ("output_file_id", "error_file_id"):
            file_id = batch.get(field)
            if not isinstance(file_id, str) or not file_id:
                continue
            async for line in self._lines(f"/files/{_plain(file_id)}/content", deadline):
                yield self._result(line)

    async def cancel(self, batch_id: str, deadline: Deadline) -> None:
        """Asks for its end. Raises: ProviderRefused, ProviderUnavailable."""
        await self._json("POST", f"/batches/{_plain(batch_id)}/cancel", deadline)

    async def _batch(self, batch_id: str, deadline: Deadline) -> Mapping[str, Any]:
        return await self._json("GET", f"/batches/{_plain(batch_id)}", deadline)

    async def _json(
        self, method: str, path: str, deadline: Deadline, **options: Any
    ) -> Mapping[str, Any]:
        async with self._asked(method, path, deadline, **options) as response:
            body = await self._http.whole_body(response)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise self._bad() from None
        if not isinstance(value, dict):
            raise self._bad()
        return value

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, deadline: Deadline, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if "json" in options:
            options["body"] = orjson.dumps(options.pop("json"))
            headers = {**self._headers, "Content-Type": "application/json"}
        else:
            headers = self._headers
        async with self._http.ask(
            method, self._base + path, options.get("body"), headers, deadline
        ) as response:
            yield response

    async def _lines(self, path: str, deadline: Deadline) -> AsyncIterator[bytes]:
        rest = b""
        async with self._asked("GET", path, deadline) as response:
            async for piece in response.content.iter_any():
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield line
                if len(rest) > LINE_BYTES_MAX:
                    raise ProviderUnavailable(
                        self._name, Unavailability.ANSWER_TOO_LARGE, billed=Billed.UNKNOWN
                    )
        if rest.strip():
            yield rest

    def _result(self, line: bytes) -> BatchItemResult:
        try:
            told = orjson.loads(line)
            item_id = told["custom_id"]
            response, error = told.get("response"), told.get("error")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise self._bad() from None
        if not isinstance(item_id, str):
            raise self._bad()
        if not isinstance(response, dict):
            code = error.get("code") if isinstance(error, dict) else None
            return BatchItemResult(item_id, None, self._bad(), lost=code in _LOST)
        status = response.get("status_code")
        if status == 200:
            try:
                return BatchItemResult(item_id, read_answer(response.get("body")))
            except (BadAnswer, FailedInside):
                return BatchItemResult(item_id, None, self._bad())
        number = status if isinstance(status, int) else 0
        passing = number in _PASSING or not 400 <= number < 500
        failure: ProviderError = (
            ProviderUnavailable(
                self._name, Unavailability.SERVER_ERROR, billed=Billed.NO, http_status=number
            )
            if passing
            else ProviderRefused(self._name, http_status=number)
        )
        return BatchItemResult(item_id, None, failure, lost=passing)

    def _text(self, value: Mapping[str, Any], name: str) -> str:
        text = value.get(name)
        if not isinstance(text, str) or not text:
            raise self._bad()
        return text

    def _bad(self) -> ProviderUnavailable:
        return ProviderUnavailable(self._name, Unavailability.BAD_ANSWER, billed=Billed.UNKNOWN)


def _plain(provider_id: str) -> str:
    """A provider's id as a piece of a path, and nothing more."""
    return "".join(char for char in provider_id if char.isalnum() or char in "-_.")
