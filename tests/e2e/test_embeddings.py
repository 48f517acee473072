"""Embeddings through the whole fleet: booked to the nano, and free when they repeat."""

import pytest
from openai import AsyncOpenAI
from spendgate.gateway.v1 import embed_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb
from spendgate.ledger.v1 import entry_pb2

from tests.e2e.house import bearer, until
from tests.fakes.openai_scripts import vector_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
# 0.02 USD a million, as published for text-embedding-3-small.
NANOS_A_TOKEN = 20


async def test_each_text_is_paid_for_once(house, tenant):
    """Over gRPC and over HTTP; the books hold what was sent on, and what the cache saved."""
    secret = await house.key(tenant)
    await house.budget(tenant, f"{tenant}-b", 1_000_000)
    texts = ["alpha beta gamma", "delta"]
    first = await house.gateway.Embed(
        gateway_pb.EmbedRequest(
            model="vectors", inputs=[embed_pb2.EmbedInput(text=text) for text in texts]
        ),
        timeout=20,
        metadata=bearer(secret),
    )
    assert [list(each.values) for each in first.embeddings] == [vector_of(t, 8) for t in texts]
    assert first.summary.cost_nanos == 4 * NANOS_A_TOKEN
    (entry,) = await house.entries(tenant, first.summary.request_id)
    assert entry.cost_nanos == 4 * NANOS_A_TOKEN
    assert entry.attempt.kind == entry_pb2.ENTRY_KIND_CALL
    assert (entry.attempt.model_used, entry.attempt.usage.input_tokens) == ("vectors", 4)
    calls = house.upstream.calls["text-embedding-3-small"]

    async def all_cached():
        again = await house.gateway.Embed(
            gateway_pb.EmbedRequest(model="vectors", inputs=[embed_pb2.EmbedInput(text=texts[0])]),
            timeout=20,
            metadata=bearer(secret),
        )
        return again if again.cached_count == 1 else None

    again = await until(all_cached)
    assert again.summary.cost_nanos == 0
    assert list(again.embeddings[0].values) == vector_of(texts[0], 8)
    assert sum(each.saved_nanos for each in again.summary.savings) > 0

    client = AsyncOpenAI(base_url=f"http://{house.address('http')}/v1", api_key=secret)
    told = await client.embeddings.create(model="vectors", input=[*texts, "new words here"])
    await client.close()
    assert [each.embedding for each in told.data] == [
        vector_of(text, 8) for text in (*texts, "new words here")
    ]
    said = told.model_extra["spendgate"]
    assert (said["cached_count"], said["cost_nanos"]) == (2, 3 * NANOS_A_TOKEN)
    assert said["savings"] == {"cache": 4 * NANOS_A_TOKEN}
    assert told.usage.prompt_tokens == 3
    assert house.upstream.seen[-1].body["input"] == ["new words here"]
    assert house.upstream.calls["text-embedding-3-small"] == calls + 1

    async def settled():
        return await house.spent(tenant, f"{tenant}-b") == (7 * NANOS_A_TOKEN, 0)

    await until(settled)
    entries = await house.entries(tenant)
    assert sum(each.cost_nanos for each in entries) == 7 * NANOS_A_TOKEN
