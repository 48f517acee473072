"""What providers export of their own books, read into lines by day and model.

OpenAI: pages of /v1/organization/usage/completions (or embeddings) and /v1/organization/costs.
Anthropic: pages of /v1/organizations/usage_report/messages and /v1/organizations/cost_report; its
amounts are in cents. Shapes as documented by both on 2026-11-23. A file holds one page, a list of
pages, or one page a line.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from cli.problems import Problem

NANOS_PER_USD = 10**9
NANOS_PER_CENT = 10**7

Key = tuple[str, str]


@dataclass
class Line:
    """A day and a model: requests, tokens by bucket, cost; None where nothing is told."""

    requests: int | None = None
    tokens: dict[str, int] | None = None
    nanos: Decimal | None = None

    def add(self, *, requests: int = 0, **tokens: int) -> None:
        """Adds usage."""
        self.requests = (self.requests or 0) + requests
        self.tokens = self.tokens or {}
        for bucket, count in tokens.items():
            self.tokens[bucket] = self.tokens.get(bucket, 0) + count


@dataclass
class Lines:
    """What the files of one provider say."""

    by_key: dict[Key, Line] = field(default_factory=dict)

    def at(self, day: str, model: str) -> Line:
        """The line to add to."""
        return self.by_key.setdefault((day, model), Line())


class Unreadable(Exception):
    """A file is none of the shapes. `problem` says what is wrong; contents are never quoted."""


def read(text: str, provider: str, lines: Lines) -> None:
    """Adds a file's numbers to `lines`. Raises: Unreadable; Problem for an unknown provider."""
    reader = READERS.get(provider)
    if reader is None:
        raise Problem(f"{provider!r} is no known shape", f"give one of: {', '.join(READERS)}")
    try:
        for bucket in _buckets(text):
            for result in bucket["results"]:
                reader(bucket, result, lines)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        what = "lacks the key" if isinstance(error, KeyError) else "is not in the shape"
        raise Unreadable(f"{what} of a usage or cost export ({type(error).__name__})") from None


def _buckets(text: str) -> Iterator[Any]:
    try:
        pages = json.loads(text)
    except ValueError:
        pages = [json.loads(line) for line in text.splitlines() if line.strip()]
    for page in pages if isinstance(pages, list) else [pages]:
        # A bucket may also stand by itself.
        yield from page.get("data", [page])


def _openai(bucket: Any, result: Any, lines: Lines) -> None:
    day = datetime.fromtimestamp(int(bucket["start_time"]), UTC).strftime("%Y-%m-%d")
    if "amount" in result:
        # "gpt-4o-2024-08-06, input" and the like: what stands before the comma.
        model = str(result.get("line_item") or "").partition(",")[0].strip()
        _cost(lines.at(day, model), result["amount"], NANOS_PER_USD)
        return
    cached = int(result.get("input_cached_tokens") or 0)
    written = int(result.get("input_cache_write_tokens") or 0)
    audio_in = int(result.get("input_audio_tokens") or 0)
    audio_out = int(result.get("output_audio_tokens") or 0)
    image_in = int(result.get("input_image_tokens") or 0)
    image_out = int(result.get("output_image_tokens") or 0)
    lines.at(day, str(result.get("model") or "")).add(
        requests=int(result["num_model_requests"]),
        # Their totals hold the cached, written, audio and image tokens; the books' buckets do not.
        input_tokens=_rest(int(result["input_tokens"]), cached, written, audio_in, image_in),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        audio_input_tokens=audio_in,
        output_tokens=_rest(int(result.get("output_tokens") or 0), audio_out, image_out),
        audio_output_tokens=audio_out,
        image_input_tokens=image_in,
        image_output_tokens=image_out,
    )


def _anthropic(bucket: Any, result: Any, lines: Lines) -> None:
    start = datetime.fromisoformat(bucket["starting_at"].replace("Z", "+00:00"))
    line = lines.at(start.astimezone(UTC).strftime("%Y-%m-%d"), str(result.get("model") or ""))
    if "amount" in result:
        told = {"value": result["amount"], "currency": result.get("currency") or "USD"}
        _cost(line, told, NANOS_PER_CENT)
        return
    writes = result.get("cache_creation") or {}
    line.add(
        input_tokens=int(result["uncached_input_tokens"]),
        cached_input_tokens=int(result.get("cache_read_input_tokens") or 0),
        cache_write_tokens=int(
            writes.get("ephemeral_5m_input_tokens")
            or result.get("cache_creation_5m_input_tokens")
            or 0
        ),
        cache_write_1h_tokens=int(
            writes.get("ephemeral_1h_input_tokens")
            or result.get("cache_creation_1h_input_tokens")
            or 0
        ),
        output_tokens=int(result["output_tokens"]),
    )
    # This export tells no requests.
    line.requests = None


def _cost(line: Line, amount: Any, nanos_per_unit: int) -> None:
    if str(amount["currency"]).upper() != "USD":
        raise ValueError("currency")
    value = amount["value"]
    line.nanos = (line.nanos or Decimal(0)) + Decimal(str(value)) * nanos_per_unit


def _rest(total: int, *parts: int) -> int:
    rest = total - sum(parts)
    if rest < 0:
        raise ValueError("parts above their total")
    return rest


READERS: dict[str, Callable[[Any, Any, Lines], None]] = {
    "openai": _openai,
    "anthropic": _anthropic,
}


def messages(lines: Lines, provider: str) -> list[Any]:
    """The lines as the ledger's contract has them; cost rounded to the nano, half to even."""
    from spendgate.chat.v1 import chat_pb2
    from spendgate.ledger.v1 import insight_pb2

    made = []
    for (day, model), line in sorted(lines.by_key.items()):
        message = insight_pb2.ProviderLine(day=day, model=model, provider=provider)
        if line.requests is not None:
            message.request_count = line.requests
        if line.tokens is not None:
            message.usage.CopyFrom(chat_pb2.TokenUsage(**line.tokens))
        if line.nanos is not None:
            message.cost_nanos = int(line.nanos.to_integral_value())
        made.append(message)
    return made
