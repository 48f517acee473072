"""What the saga does for options and content of Anthropic's, on fakes."""

from contextlib import aclosing

import pytest
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from chassis.deadline import Deadline
from gateway.providers.port import ProviderRefused, Refusal
from gateway.saga.usage import text_of
from tests.fakes.saga_house import IDENTITY, prompt_of

HOUR = '{"cache_control":{"type":"ephemeral","ttl":"1h"}}'


async def asked(house, prompt):
    request = pb.CompleteRequest(model="cheap", prompt=prompt)
    return await house.door.complete(request, IDENTITY, "", Deadline.after(5))


async def test_writes_for_an_hour_are_held_for(house):
    """The hold is for the dearest way the provider may bill what was asked."""
    await asked(house, prompt_of("hi"))
    prompt = prompt_of("hello")
    prompt.messages[0].extra_json = HOUR
    await asked(house, prompt)
    plain, marked = (item.worst_cases[0].usage for item in house.services.asked["reserve"])
    assert plain.cache_write_1h_tokens == 0 < plain.input_tokens
    assert marked.input_tokens == 0 < marked.cache_write_1h_tokens


async def test_warnings_reach_the_caller(house, monkeypatch):
    """Whole and streamed: what was left out is in the summary."""
    warning = ("seed was left out: fake lacks it",)
    whole, stream = house.provider.complete, house.provider.stream

    async def complete(call, deadline):
        return (await whole(call, deadline)).warned(warning)

    async def streamed(call, deadline):
        async for event in stream(call, deadline):
            yield event.warned(warning) if hasattr(event, "warned") else event

    monkeypatch.setattr(house.provider, "complete", complete)
    monkeypatch.setattr(house.provider, "stream", streamed)
    response = await house.complete(cache_mode=pb.CACHE_MODE_OFF)
    assert list(response.summary.warnings) == list(warning)
    async with aclosing(house.stream(cache_mode=pb.CACHE_MODE_OFF)) as events:
        told = [event async for event in events]
    assert list(told[-1].summary.warnings) == list(warning)


async def test_an_option_that_is_lacking_charges_nothing(house):
    """Nothing was sent: the hold goes back, and no other model is asked."""
    house.provider.script = [
        ProviderRefused("fake", http_status=400, reason=Refusal.OPTION_UNSUPPORTED, param="seed")
    ]
    with pytest.raises(ProviderRefused):
        await house.complete()
    await house.books.drain()
    assert len(house.provider.calls) == 1
    ((way,),) = house.services.resolutions().values()
    assert way == "release"


async def test_tokens_are_counted_without_a_call(house):
    """The tokenizer's word, and nothing routed, held or kept."""
    request = pb.CompleteRequest(model="cheap", prompt=prompt_of("hi"))
    count = await house.door.count_tokens(request, IDENTITY, Deadline.after(5))
    assert count.tokens > 0
    assert not house.provider.calls
    assert not house.services.asked["reserve"]


def test_thoughts_are_written_text():
    """A stream that breaks off in mid-thought is charged for what was thought."""
    choice = pb.CompleteResponse().choices.add()
    choice.message.content = "So: "
    choice.message.extra_json = '{"reasoning_content":"it is late"}'
    assert text_of([choice]) == "So: it is late"
