"""OpenAI's newer protocol and `auto:<policy>` through the whole fleet, with the official SDK."""

import openai
import pytest
from openai import AsyncOpenAI

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def client_of(house, tenant):
    secret = await house.key(tenant)
    return AsyncOpenAI(base_url=f"http://{house.address('http')}/v1", api_key=secret, max_retries=0)


async def test_a_response_is_booked_and_cached_like_any_answer(house, tenant):
    """A chat provider behind it; the very same request again costs nothing."""
    async with await client_of(house, tenant) as client:
        asked = {"model": "cheap", "input": f"What of {tenant}?", "instructions": "Be brief."}
        async with client.responses.stream(**asked) as stream:
            first = await stream.get_final_response()
        told = first.model_extra["spendgate"]
        (entry,) = await house.entries(tenant, told["request_id"])
        assert told["cost_nanos"] == entry.cost_nanos > 0
        assert first.usage.input_tokens == entry.attempt.usage.input_tokens
        for _ in range(50):
            again = await client.responses.create(**asked)
            if again.model_extra["spendgate"]["cache"] == "exact":
                break
        assert again.output_text == first.output_text
        assert again.model_extra["spendgate"]["cost_nanos"] == 0


async def test_the_caller_names_the_policy(house, tenant):
    """The books keep what was asked for; a policy nobody knows is told with the nearest."""
    async with await client_of(house, tenant) as client:
        chosen = {}
        for word in ("cheap", "best"):
            told = await client.chat.completions.create(
                model=f"auto:{word}", messages=[{"role": "user", "content": f"{word} {tenant}"}]
            )
            chosen[word] = told.model
            (entry,) = await house.entries(tenant, told.model_extra["spendgate"]["request_id"])
            assert entry.attempt.model_asked == f"auto:{word}"
        assert chosen == {"cheap": "cheap", "best": "strong"}
        with pytest.raises(openai.NotFoundError, match="auto:best") as caught:
            await client.responses.create(model="auto:bset", input="hi")
        assert caught.value.code == "model_not_found"
