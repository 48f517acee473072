"""Embeddings: the official SDK at the HTTP door, and adapters against real wire formats."""

import base64
import struct
import time

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import SecretStr
from spendgate.gateway.v1 import embed_pb2

from gateway.errors import ERRORS
from gateway.http.intake import EdgeLimits
from gateway.http.parts import make_edge
from gateway.http.server import HttpServer
from gateway.providers.embedding_port import EmbeddingCall
from gateway.providers.embeddings import (
    GeminiEmbeddings,
    OpenAIEmbeddings,
    WireEmbedder,
    numbers,
)
from gateway.providers.http import open_session
from gateway.providers.openai import Address, AzureAddress
from gateway.providers.port import ProviderRefused, ProviderUnavailable, Refusal, Unavailability
from tests.fakes.http_door import KEY, FakeDoor
from tests.fakes.openai_scripts import vector_of
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import line_of, soon
from tests.fakes.wire_upstream import Failure, WireUpstream


@pytest.fixture
def door():
    return FakeDoor()


@pytest.fixture
async def client(door):
    limits = EdgeLimits()
    edge = make_edge(door, ERRORS, limits, ready=lambda: True, new_id=lambda: "s", now=time.time)
    server = HttpServer(edge, limits)
    await server.start("127.0.0.1:0")
    async with AsyncOpenAI(
        base_url=f"http://{server.address}/v1", api_key=KEY, max_retries=0
    ) as made:
        yield made
    await server.stop()


@pytest.fixture
async def session():
    async with open_session() as opened:
        yield opened


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
async def test_the_sdk(client, door, encoding):
    """Without a format the SDK asks for base64 and gives numbers."""
    more = {"encoding_format": encoding} if encoding else {}
    raw = await client.embeddings.with_raw_response.create(
        model="vectors", input=["a", "b"], dimensions=2, user="u", **more
    )
    told = raw.parse()
    if encoding == "base64":
        packed = base64.b64decode(told.data[0].embedding)
        assert struct.unpack("<2f", packed) == (0.5, -1.5)
    else:
        assert [each.embedding for each in told.data] == [[0.5, -1.5]] * 2
    assert [each.index for each in told.data] == [0, 1]
    assert (told.model, told.usage.prompt_tokens, told.usage.total_tokens) == ("small", 10, 10)
    assert told.model_extra["spendgate"]["cached_count"] == 1
    assert raw.headers["x-spendgate-cost-nanos"] == "1234567890"
    (request,) = door.requests
    assert ([each.text for each in request.inputs], request.dimensions) == (["a", "b"], 2)
    assert request.options.user == "u"


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a", [embed_pb2.EmbedInput(text="a")]),
        ([1, 2], [embed_pb2.EmbedInput(tokens=embed_pb2.TokenList(ids=[1, 2]))]),
        ([[1], [2]], [
            embed_pb2.EmbedInput(tokens=embed_pb2.TokenList(ids=[1])),
            embed_pb2.EmbedInput(tokens=embed_pb2.TokenList(ids=[2])),
        ]),
    ],
)  # fmt: skip
async def test_texts_and_tokens(client, door, given, inputs):
    await client.embeddings.create(model="vectors", input=given)
    assert list(door.requests[0].inputs) == inputs


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": {"a": 1}}, "input"),
        ({"input": [2**40]}, "input[0]"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ],
)
async def test_bad_requests(client, door, body, param):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.post("/embeddings", body={"model": "m", **body}, cast_to=object)
    assert caught.value.param == param
    assert not door.requests


def wanted(*texts, **more):
    inputs = [embed_pb2.EmbedInput(text=each) for each in texts]
    return EmbeddingCall("m", inputs, more.get("dimensions"), more.get("extra_json", ""))


@pytest.mark.parametrize("in_base64", [False, True])
async def test_openais_protocol(session, in_base64):
    """Vectors are the same to the bit, however they travel; options reach the provider."""
    async with OpenAIUpstream() as upstream:
        wire = OpenAIEmbeddings(Address(upstream.base_url, SecretStr("sk-up")), base64=in_base64)
        told = await WireEmbedder(line_of(session), wire).embed(
            wanted("one two", "three", dimensions=4, extra_json='{"input_type":"query"}'), soon()
        )
        assert [list(numbers(each)) for each in told.vectors] == [
            vector_of("one two", 4), vector_of("three", 4)
        ]  # fmt: skip
        assert told.usage.input_tokens == 3
        seen = upstream.seen[0]
        assert seen.headers["Authorization"] == "Bearer sk-up"
        more = {"encoding_format": "base64"} if in_base64 else {}
        assert seen.body == {
            "model": "m", "input": ["one two", "three"], "dimensions": 4, "input_type": "query",
            **more,
        }  # fmt: skip


async def test_azure(session):
    """By deployment with a dated version, by name on the v1 API; Azure's own key header."""
    data = {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1}}
    async with WireUpstream([data]) as upstream:
        for version in ("2024-10-21", None):
            address = AzureAddress(upstream.address, SecretStr("az-key"), version)
            wire = OpenAIEmbeddings(address, base64=True)
            await WireEmbedder(line_of(session), wire).embed(wanted("a"), soon())
        assert [each.path for each in upstream.seen] == [
            "/openai/deployments/m/embeddings?api-version=2024-10-21",
            "/openai/v1/embeddings",
        ]
        assert upstream.seen[0].headers["api-key"] == "az-key"
        assert "Authorization" not in upstream.seen[0].headers


async def test_gemini(session):
    """A hundred a call; tokens are refused, for there is no place for them."""

    def play(body):
        return {"embeddings": [{"values": [0.5, -1]} for _ in body["requests"]]}

    async with WireUpstream([play]) as upstream:
        wire = GeminiEmbeddings(f"{upstream.address}/v1beta", lambda: {"x-goog-api-key": "k"})
        embedder = WireEmbedder(line_of(session), wire)
        told = await embedder.embed(
            wanted(*["a"] * 150, dimensions=2, extra_json='{"task_type":"RETRIEVAL_QUERY"}'), soon()
        )
        assert len(told.vectors) == 150
        assert told.usage is None
        assert [len(each.body["requests"]) for each in upstream.seen] == [100, 50]
        assert upstream.seen[0].path == "/v1beta/models/m:batchEmbedContents"
        assert upstream.seen[0].body["requests"][0] == {
            "model": "models/m",
            "content": {"parts": [{"text": "a"}]},
            "taskType": "RETRIEVAL_QUERY",
            "outputDimensionality": 2,
        }
        tokens = embed_pb2.EmbedInput(tokens=embed_pb2.TokenList(ids=[1]))
        with pytest.raises(ProviderRefused) as caught:
            await embedder.embed(EmbeddingCall("m", [tokens], None, ""), soon())
        assert (caught.value.reason, caught.value.param) == (Refusal.OPTION_UNSUPPORTED, "input")


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        ({"data": []}, Unavailability.BAD_ANSWER),
        ({"data": [{"index": 1, "embedding": [1.0]}]}, Unavailability.BAD_ANSWER),
        ({"data": [{"index": 0, "embedding": ["x"]}]}, Unavailability.BAD_ANSWER),
        ({"data": [{"index": 0, "embedding": []}]}, Unavailability.BAD_ANSWER),
        ({"data": [{"index": 0, "embedding": "AAA="}]}, Unavailability.BAD_ANSWER),
        ({"error": {"message": "canary"}}, Unavailability.SERVER_ERROR),
        (Failure(429, {}, {"Retry-After": "3"}), Unavailability.RATE_LIMITED),
        (Failure(500, {}), Unavailability.SERVER_ERROR),
    ],
)
async def test_what_goes_wrong(session, play, reason):
    async with WireUpstream([play]) as upstream:
        wire = OpenAIEmbeddings(Address(upstream.address, None), base64=False)
        with pytest.raises(ProviderUnavailable) as caught:
            await WireEmbedder(line_of(session), wire).embed(wanted("a"), soon())
    assert caught.value.reason is reason
