"""The adapter against a server on loopback that speaks the real wire format: its answers."""

import pytest
from spendgate.chat.v1 import chat_pb2

from gateway.openai.render import render_prompt
from gateway.providers.port import Provider
from tests.fakes.openai_scripts import answer_to, words_in
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import KEY, Open, call, failure, soon, whole_stream


async def test_an_answer(upstream: OpenAIUpstream, provider: Provider) -> None:
    """A whole answer with its tokens, asked for with the operator's key and the limit given."""
    told = await provider.complete(call("happy"), soon())
    seen = upstream.seen[0]
    choice = told.choices[0]
    assert choice.message.content == answer_to(seen.body)
    assert choice.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert told.usage == chat_pb2.TokenUsage(
        input_tokens=words_in(seen.body["messages"]),
        output_tokens=len(choice.message.content.split()),
    )
    assert told.response_model == "happy-2026-01-01"
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.body["max_tokens"] == 1_000


async def test_the_request_is_what_was_asked(upstream: OpenAIUpstream, provider: Provider) -> None:
    """Every option reaches the provider; the gateway adds the model and the limit only."""
    wanted = call(
        "happy",
        tools=[chat_pb2.Tool(name="t", parameters_json='{"type":"object"}', strict=True)],
        tool_choice_json='{"type":"function","function":{"name":"t"}}',
        response_format_json='{"type":"json_object"}',
        sampling=chat_pb2.Sampling(temperature=0.5, seed=7, stop=["END"], choice_count=2),
        extra_json='{"logit_bias":{"50256":-100},"reasoning_effort":"low"}',
    )
    await provider.complete(wanted, soon())
    assert upstream.seen[0].body == {
        "model": "happy",
        "max_tokens": 1_000,
        **render_prompt(wanted.prompt),
    }


async def test_a_stream_tells_the_same_answer(provider: Provider) -> None:
    """Streamed or whole, the same request gets the same answer and the same tokens."""
    whole = await provider.complete(call("happy"), soon())
    choices, end = await whole_stream(provider, call("happy"))
    assert choices == whole.choices
    assert end.usage == whole.usage
    assert end.response_model == whole.response_model


async def test_usage_is_always_asked_for(upstream: OpenAIUpstream, provider: Provider) -> None:
    """A stream that is not asked for its tokens tells none, and then nothing is booked."""
    await whole_stream(provider, call("happy"))
    assert upstream.seen[0].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("model", ["odd-splits", "no-done"])
async def test_streams_of_other_servers(provider: Provider, model: str) -> None:
    """Cuts anywhere, comments, CR LF, no [DONE]: the answer comes out whole."""
    choices, end = await whole_stream(provider, call(model))
    assert choices[0].message.content.endswith("Wie spät ist es? 🕰")
    assert choices[0].finish_reason == chat_pb2.FINISH_REASON_STOP
    assert end.usage is not None


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls(provider: Provider, streamed: bool) -> None:
    """Calls of tools come with their ids, names and arguments, streamed or not."""
    wanted = call("tools", tools=[chat_pb2.Tool(name="weather")])
    if streamed:
        choices, _ = await whole_stream(provider, wanted)
    else:
        choices = list((await provider.complete(wanted, soon())).choices)
    assert [
        (made.id, made.name, made.arguments_json) for made in choices[0].message.tool_calls
    ] == [(f"call_{at}", "weather", '{"city": "Z\\u00fcrich", "days": 3}') for at in range(2)]
    assert choices[0].finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_of_the_model(provider: Provider, streamed: bool) -> None:
    """What a model says instead of an answer is told as that."""
    if streamed:
        choices, _ = await whole_stream(provider, call("refusal"))
    else:
        choices = list((await provider.complete(call("refusal"), soon())).choices)
    assert choices[0].message.refusal == "I would rather not."


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "impossible"), [("usage-missing", False), ("usage-impossible", True)]
)
async def test_tokens_not_told(
    provider: Provider, model: str, impossible: bool, streamed: bool
) -> None:
    """The answer counts all the same; its tokens are left to the gateway to count."""
    if streamed:
        _, told = await whole_stream(provider, call(model))
        assert (told.usage, told.usage_impossible) == (None, impossible)
    else:
        answer = await provider.complete(call(model), soon())
        assert (answer.usage, answer.usage_impossible) == (None, impossible)


async def test_cached_and_reasoning_tokens_are_apart(provider: Provider) -> None:
    """Buckets do not overlap."""
    cached = (await provider.complete(call("usage-cached"), soon())).usage
    assert cached is not None
    assert cached.cached_input_tokens == 2
    reasoned = (await provider.complete(call("usage-reasoning"), soon())).usage
    plain = (await provider.complete(call("happy"), soon())).usage
    assert reasoned is not None
    assert plain is not None
    assert reasoned.reasoning_tokens == 40
    assert cached.input_tokens + 2 == reasoned.input_tokens == plain.input_tokens
    assert reasoned.output_tokens == len(answer_to({"messages": [{"content": "x"}]}).split()) + 4


async def test_connections_are_used_again(upstream: OpenAIUpstream, provider: Provider) -> None:
    """Whole answers, whole streams and plain errors give their connection back."""
    for _ in range(3):
        await provider.complete(call("happy"), soon())
        await whole_stream(provider, call("happy"))
        await failure(provider, call("fail-429"), streamed=False)
    assert len(upstream.connections) == 1


async def test_a_packed_answer_is_unpacked(provider: Provider) -> None:
    """Nobody asked for it packed; servers in between do it anyway."""
    told = await provider.complete(call("packed"), soon())
    assert told.choices[0].message.content.startswith("Answer ")


async def test_a_large_prompt(upstream: OpenAIUpstream, provider: Provider) -> None:
    """Megabytes go through, and leave the loop to others meanwhile."""
    text = "word " * 400_000
    await provider.complete(call("happy", text), soon())
    assert upstream.seen[0].body["messages"][0]["content"] == text


async def test_the_newer_name_of_the_limit(upstream: OpenAIUpstream, open_provider: Open) -> None:
    """The operator can say which name the server knows."""
    provider = open_provider(dialect="openai")
    await provider.complete(call("happy"), soon())
    assert upstream.seen[0].body["max_completion_tokens"] == 1_000
    assert "max_tokens" not in upstream.seen[0].body
