"""OpenAI's embeddings as JSON, both ways."""

import binascii
from typing import Any

import orjson
from spendgate.gateway.v1 import embed_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.parse import options_of
from gateway.openai.read import Fields, NotJson, invalid
from gateway.openai.usage import render_usage
from gateway.openai.wire import render_summary
from gateway.validate_embed import INPUTS_MAX

_INT32_MAX = 2**31 - 1
_ENCODINGS = {
    "float": embed_pb2.VECTOR_ENCODING_FLOAT,
    "base64": embed_pb2.VECTOR_ENCODING_PACKED,
}


def parse_embeddings(body: bytes) -> gateway_pb2.EmbedRequest:
    """The request in `body`. Raises: NotJson, InvalidFields with the path of the first fault."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson from None
    fields = Fields(value, "")
    request = gateway_pb2.EmbedRequest(
        model=fields.required_text("model"), inputs=_inputs(fields.take("input"))
    )
    word = fields.text("encoding_format") or "float"
    if word not in _ENCODINGS:
        raise invalid("encoding_format", f"must be one of: {', '.join(_ENCODINGS)}")
    request.encoding = _ENCODINGS[word]
    dimensions = fields.integer("dimensions", _INT32_MAX)
    if dimensions is not None:
        request.dimensions = dimensions
    request.options.CopyFrom(options_of(fields))
    # Last: whatever nobody knew.
    request.extra_json = fields.rest_json()
    return request


def render_embeddings(
    response: gateway_pb2.EmbedResponse, cache_mode: gateway_pb2.CacheMode
) -> dict[str, Any]:
    """A whole list of embeddings, with a `spendgate` object beside."""
    tokens = render_usage(response.summary.usage)["prompt_tokens"]
    told = render_summary(response.summary, cache_mode)
    told["cached_count"] = response.cached_count
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": _vector(each)}
            for at, each in enumerate(response.embeddings)
        ],
        "model": response.summary.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "spendgate": told,
    }


def _vector(each: embed_pb2.Embedding) -> Any:
    if each.packed:
        return binascii.b2a_base64(each.packed, newline=False).decode()
    return list(each.values)


def _inputs(value: Any) -> list[embed_pb2.EmbedInput]:
    """A text, or tokens; or a list of either."""
    if isinstance(value, str) or _is_tokens(value):
        value = [value]
    if not isinstance(value, list) or not value:
        raise invalid("input", "must be a text, tokens, or a list of either")
    if len(value) > INPUTS_MAX:
        raise invalid("input", f"has {len(value)} texts, at most {INPUTS_MAX}")
    return [_input(each, f"input[{at}]") for at, each in enumerate(value)]


def _input(value: Any, path: str) -> embed_pb2.EmbedInput:
    if isinstance(value, str):
        return embed_pb2.EmbedInput(text=value)
    if not _is_tokens(value):
        raise invalid(path, "must be a text or a list of tokens")
    try:
        return embed_pb2.EmbedInput(tokens=embed_pb2.TokenList(ids=value))
    except (ValueError, TypeError):
        raise invalid(path, "must have tokens from 0 to 2147483647") from None


def _is_tokens(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    )
