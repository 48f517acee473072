"""Claude's models end to end: the Messages API at the door, from the fleet file to the books."""

from typing import Any

import pytest
from anthropic import AsyncAnthropic

pytestmark = pytest.mark.asyncio(loop_scope="session")

TURN: Any = {"max_tokens": 100, "messages": [{"role": "user", "content": "How are you?"}]}


async def test_an_agents_calls_are_priced_and_booked(house, tenant):
    """By Anthropic itself and by AWS: the tokens told, at the published prices, to the nano."""
    # Input, output (nano-USD a token); cached, written for five minutes, written for an hour.
    published = {
        "claude-haiku-4-5": 11 * 1_000 + 5 * 5_000,
        # AWS's regional profile is a tenth dearer.
        "claude-aws": 11 * 1_100 + 5 * 5_500 + 2_000 * 110 + 100 * 1_375 + 200 * 2_200,
    }
    secret = await house.key(tenant)
    url = f"http://{house.address('http')}"
    async with AsyncAnthropic(base_url=url, api_key=secret, max_retries=0) as client:
        for model, cost_nanos in published.items():
            whole: Any = await client.messages.create(model=model, **TURN)
            assert whole.spendgate["cost_nanos"] == cost_nanos
            request_id = whole.id.removeprefix("msg_")
            (entry,) = await house.entries(tenant, request_id)
            assert entry.cost_nanos == cost_nanos
            assert whole.spendgate["usage_source"] == "reported"
            again: Any = await client.messages.create(model=model, **TURN)
            assert again.spendgate["cache"] == "exact"
            assert again.content == whole.content
            fresh = {"x-spendgate-cache": "off"}
            async with client.messages.stream(model=model, **TURN, extra_headers=fresh) as stream:
                streamed: Any = await stream.get_final_message()
            assert streamed.content[0].text == whole.content[0].text
            assert streamed.usage.output_tokens == 5
        counted = await client.messages.count_tokens(
            model="claude-haiku-4-5", messages=TURN["messages"]
        )
        assert counted.input_tokens > 3


async def test_auto_from_an_agent(house, tenant):
    """A name that routes works on this door too; the model that answered is told."""
    secret = await house.key(tenant)
    url = f"http://{house.address('http')}"
    async with AsyncAnthropic(base_url=url, auth_token=secret, max_retries=0) as client:
        told: Any = await client.messages.create(model="auto", **TURN)
    assert told.model == "cheap"
    assert told.content[0].text
