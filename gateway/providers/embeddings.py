"""Embeddings over HTTP: OpenAI's protocol (Azure's and most servers' too) and Gemini's."""

import binascii
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import orjson
from spendgate.chat.v1 import chat_pb2

from chassis.deadline import Deadline
from chassis.errors import InvalidFields
from gateway.openai.answer import BadAnswer, FailedInside
from gateway.openai.read import object_from
from gateway.providers.embedding_port import EmbeddingAnswer, EmbeddingCall
from gateway.providers.http import ProviderHttp
from gateway.providers.openai import Address
from gateway.providers.options import Options, OptionUnsupported
from gateway.providers.port import (
    Billed,
    ProviderRefused,
    ProviderUnavailable,
    Refusal,
    Unavailability,
)
from gateway.providers.wire import Line, beside_the_loop, json_of

NUMBERS_MAX = 65_536
_BYTES_A_NUMBER = 4
_TOKENS_MAX = 10**12


class EmbeddingWire(Protocol):
    """One protocol of embeddings at one provider."""

    # Inputs of one call; more are asked for in several.
    inputs_max: int

    def url(self, call: EmbeddingCall) -> str:
        """Where the call goes."""
        ...

    def headers(self) -> dict[str, str]:
        """What goes with each call, the operator's key among it."""
        ...

    def render(self, call: EmbeddingCall, options: Options) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        ...

    def read(self, value: Any) -> EmbeddingAnswer:
        """The answer from JSON. Raises: BadAnswer, FailedInside."""
        ...


class WireEmbedder:
    """gateway.providers.embedding_port.EmbeddingProvider over an EmbeddingWire."""

    def __init__(self, line: Line, wire: EmbeddingWire) -> None:
        self._line = line
        self._wire = wire
        self._http = ProviderHttp(line.name, line.session, line.limits, line.now)

    async def embed(self, call: EmbeddingCall, deadline: Deadline) -> EmbeddingAnswer:
        """All vectors or none. Raises: ProviderRefused, ProviderUnavailable."""
        step = self._wire.inputs_max
        starts = range(0, len(call.inputs), step)
        parts = [call.inputs[start : start + step] for start in starts]
        answers = [
            await self._part(
                EmbeddingCall(call.model, part, call.dimensions, call.extra_json), deadline
            )
            for part in parts
        ]
        usages = [each.usage for each in answers]
        told = None
        if all(usage is not None for usage in usages):
            told = chat_pb2.TokenUsage(
                input_tokens=sum(usage.input_tokens for usage in usages if usage is not None)
            )
        vectors = [vector for each in answers for vector in each.vectors]
        if len({len(vector) for vector in vectors}) != 1:
            raise self._unavailable(Unavailability.BAD_ANSWER)
        return EmbeddingAnswer(vectors, told, answers[0].response_model, answers[0].warnings)

    async def _part(self, call: EmbeddingCall, deadline: Deadline) -> EmbeddingAnswer:
        options = Options(self._line.name, self._line.unsupported)
        size = sum(each.ByteSize() for each in call.inputs)
        try:
            body = await beside_the_loop(
                lambda wanted: orjson.dumps(self._wire.render(wanted, options)), call, size
            )
        except OptionUnsupported as error:
            raise ProviderRefused(
                self._line.name,
                http_status=400,
                reason=Refusal.OPTION_UNSUPPORTED,
                param=error.option,
            ) from None
        except (InvalidFields, orjson.JSONEncodeError):
            raise ProviderRefused(self._line.name, http_status=400) from None
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "spendgate",
            **self._wire.headers(),
        }
        url = self._wire.url(call)
        async with self._http.post(url, body, headers, deadline, idle=False) as response:
            answer = await self._http.whole_body(response)
        try:
            read = await beside_the_loop(self._read, answer, len(answer))
        except BadAnswer:
            raise self._unavailable(Unavailability.BAD_ANSWER) from None
        except FailedInside:
            raise self._unavailable(Unavailability.SERVER_ERROR) from None
        if len(read.vectors) != len(call.inputs):
            raise self._unavailable(Unavailability.BAD_ANSWER)
        return EmbeddingAnswer(read.vectors, read.usage, read.response_model, options.warnings)

    def _read(self, body: bytes) -> EmbeddingAnswer:
        return self._wire.read(json_of(body))

    def _unavailable(self, reason: Unavailability) -> ProviderUnavailable:
        return ProviderUnavailable(self._line.name, reason, billed=Billed.UNKNOWN, http_status=200)


class OpenAIEmbeddings:
    """POST /embeddings. `base64`: the server gives vectors in it, exact and a third of the size."""

    inputs_max = 2_048

    def __init__(self, address: Address, *, base64: bool) -> None:
        self._address = address
        self._base64 = base64

    def url(self, call: EmbeddingCall) -> str:
        """Where the call goes."""
        return self._address.url("/embeddings", call.model)

    def headers(self) -> dict[str, str]:
        """The operator's key."""
        return dict(self._address.headers())

    def render(self, call: EmbeddingCall, options: Options) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields."""
        del options
        body: dict[str, Any] = {
            **object_from(call.extra_json, "extra_json"),
            "model": call.model,
            "input": [
                each.text if each.WhichOneof("input") == "text" else list(each.tokens.ids)
                for each in call.inputs
            ],
        }
        if call.dimensions is not None:
            body["dimensions"] = call.dimensions
        if self._base64:
            body["encoding_format"] = "base64"
        return body

    def read(self, value: Any) -> EmbeddingAnswer:
        """The answer from JSON. Raises: BadAnswer, FailedInside."""
        if not isinstance(value, dict):
            raise BadAnswer
        if value.get("error") is not None:
            raise FailedInside
        data = value.get("data")
        if not isinstance(data, list):
            raise BadAnswer
        vectors: list[bytes] = [b""] * len(data)
        for at, each in enumerate(data):
            place = each.get("index", at) if isinstance(each, dict) else -1
            if not isinstance(place, int) or not 0 <= place < len(data) or vectors[place]:
                raise BadAnswer
            vectors[place] = packed(each.get("embedding"))
        usage = value.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        model = value.get("model")
        return EmbeddingAnswer(vectors, _usage(tokens), model if isinstance(model, str) else "")


class GeminiEmbeddings:
    """POST models/{model}:batchEmbedContents. It takes no tokens, and tells none on old models."""

    inputs_max = 100

    def __init__(self, base_url: str, headers: Callable[[], dict[str, str]]) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = headers

    def url(self, call: EmbeddingCall) -> str:
        """Where the call goes."""
        return f"{self._base_url}/models/{_named(call)}:batchEmbedContents"

    def headers(self) -> dict[str, str]:
        """The operator's key."""
        return self._headers()

    def render(self, call: EmbeddingCall, options: Options) -> dict[str, Any]:
        """The call as JSON. Raises: InvalidFields, OptionUnsupported."""
        extra = object_from(call.extra_json, "extra_json")
        more = {
            theirs: extra.pop(ours)
            for ours, theirs in (("task_type", "taskType"), ("title", "title"))
            if ours in extra
        }
        for name in extra:
            options.lacks(name)
        if call.dimensions is not None:
            more["outputDimensionality"] = call.dimensions
        if any(each.WhichOneof("input") != "text" for each in call.inputs):
            # Left out, a text would have no vector: there is nothing to drop.
            raise OptionUnsupported("input")
        model = f"models/{_named(call)}"
        return {
            "requests": [
                {"model": model, "content": {"parts": [{"text": each.text}]}, **more}
                for each in call.inputs
            ]
        }

    def read(self, value: Any) -> EmbeddingAnswer:
        """The answer from JSON. Raises: BadAnswer, FailedInside."""
        if not isinstance(value, dict):
            raise BadAnswer
        if value.get("error") is not None:
            raise FailedInside
        data = value.get("embeddings")
        if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
            raise BadAnswer
        usage = value.get("usageMetadata")
        tokens = usage.get("promptTokenCount") if isinstance(usage, dict) else None
        return EmbeddingAnswer([packed(each.get("values")) for each in data], _usage(tokens), "")


def packed(value: Any) -> bytes:
    """A vector, as numbers or in base64, as binary32. Raises: BadAnswer."""
    if isinstance(value, str):
        try:
            vector = binascii.a2b_base64(value.encode(), strict_mode=True)
        except binascii.Error:
            raise BadAnswer from None
        if len(vector) % _BYTES_A_NUMBER or not 0 < len(vector) <= NUMBERS_MAX * _BYTES_A_NUMBER:
            raise BadAnswer
        return vector
    if not isinstance(value, list) or not 0 < len(value) <= NUMBERS_MAX:
        raise BadAnswer
    try:
        if not all(map(math.isfinite, value)):
            raise BadAnswer
        return struct.pack(f"<{len(value)}f", *value)
    except (struct.error, TypeError, OverflowError):
        raise BadAnswer from None


def numbers(vector: bytes) -> Sequence[float]:
    """The numbers of a packed vector."""
    return struct.unpack(f"<{len(vector) // _BYTES_A_NUMBER}f", vector)


def _usage(tokens: Any) -> chat_pb2.TokenUsage | None:
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 0 < tokens <= _TOKENS_MAX:
        return None
    return chat_pb2.TokenUsage(input_tokens=tokens)


def _named(call: EmbeddingCall) -> str:
    return quote(call.model.removeprefix("models/"), safe="")
