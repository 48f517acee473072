"""The adapter of Gemini's generateContent against a server that speaks its wire format."""

import json

import pytest
from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2

from gateway.gemini.usage import read_usage_metadata
from gateway.providers.gemini import GeminiProvider
from gateway.providers.http import open_session
from gateway.providers.port import ProviderRefused, ProviderUnavailable, Refusal, Unavailability
from tests.fakes.provider_calls import call, failure, line_of, soon, whole_stream
from tests.fakes.wire_upstream import Failure, WireUpstream

USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 7,
    "totalTokenCount": 127,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 80},
        {"modality": "AUDIO", "tokenCount": 20},
    ],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
}
BUCKETS = chat_pb2.TokenUsage(
    input_tokens=25,
    cached_input_tokens=60,
    output_tokens=20,
    reasoning_tokens=7,
    audio_input_tokens=15,
)
CALL = {
    "functionCall": {"name": "weather", "args": {"city": "Zürich"}},
    "thoughtSignature": "c2lnbmVk",
}


def generated(*parts, reason="STOP", usage=USAGE, **more):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    told = {"candidates": [candidate], "modelVersion": "gemini-3.8-flash", "responseId": "r1"}
    return {**told, **({"usageMetadata": usage} if usage else {}), **more}


@pytest.fixture
async def upstream():
    async with WireUpstream() as server:
        yield server


@pytest.fixture
async def open_gemini(upstream):
    async with open_session() as session:
        yield lambda **more: GeminiProvider(
            line_of(session, **more),
            base_url=f"{upstream.address}/v1beta",
            api_key=SecretStr("AIza-canary"),
        )


@pytest.fixture
def gemini(open_gemini):
    return open_gemini()


async def test_an_answer(upstream, gemini):
    """Text, thoughts, why it ended; tokens in disjoint buckets that add up to what was told."""
    upstream.plays = [
        generated({"text": "Hm.", "thought": True}, {"text": "Guten "}, {"text": "Tag"})
    ]
    told = await gemini.complete(call("gemini-3.8-flash"), soon())
    (choice,) = told.choices
    assert choice.message.content == "Guten Tag"
    assert json.loads(choice.message.extra_json) == {"reasoning_content": "Hm."}
    assert choice.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert told.usage == BUCKETS
    assert told.told == (100, 27)
    seen = upstream.seen[0]
    assert seen.path == "/v1beta/models/gemini-3.8-flash:generateContent"
    assert seen.headers["x-goog-api-key"] == "AIza-canary"
    assert "AIza" not in seen.path


async def test_a_stream_tells_the_same_answer(upstream, gemini):
    whole = generated({"text": "Guten "}, {"text": "Tag"}, CALL)
    early = {"promptTokenCount": 100, "totalTokenCount": 100}
    upstream.plays = [
        whole,
        [
            generated({"text": "Guten "}, reason="", usage=early),
            generated({"text": "Tag"}, reason="", usage=None),
            generated(CALL),
        ],
    ]
    told = await gemini.complete(call("gemini-3.8-flash"), soon())
    choices, end = await whole_stream(gemini, call("gemini-3.8-flash"))
    assert choices == list(told.choices)
    assert end.usage == told.usage == BUCKETS
    assert choices[0].finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert upstream.seen[1].path.endswith(":streamGenerateContent?alt=sse")


async def test_the_request_is_what_was_asked(upstream, gemini):
    upstream.plays = [generated({"text": "x"})]
    schema = '{"type":"object","properties":{"city":{"type":"string"}}}'
    wanted = call(
        "gemini-3.8-flash",
        tools=[chat_pb2.Tool(name="weather", description="d", parameters_json=schema, strict=True)],
        tool_choice_json='{"type":"function","function":{"name":"weather"}}',
        response_format_json=json.dumps(
            {"type": "json_schema", "json_schema": {"name": "s", "schema": json.loads(schema)}}
        ),
        sampling=chat_pb2.Sampling(temperature=0.5, top_p=0.9, seed=7, stop=["END"]),
        extra_json='{"reasoning_effort":"low","safetySettings":[{"category":"c"}]}',
    )
    wanted.prompt.messages.insert(
        0, chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content="Sei nett.")
    )
    wanted.prompt.messages[1].ClearField("content")
    wanted.prompt.messages[1].parts.extend(
        [
            chat_pb2.ContentPart(text="Was?"),
            chat_pb2.ContentPart(image=chat_pb2.Image(url="data:image/png;base64,iVBO")),
            chat_pb2.ContentPart(audio=chat_pb2.Audio(data=b"abc", format="wav")),
        ]
    )
    await gemini.complete(wanted, soon())
    assert upstream.seen[0].body == {
        "systemInstruction": {"parts": [{"text": "Sei nett."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Was?"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
                    {"inlineData": {"mimeType": "audio/wav", "data": "YWJj"}},
                ],
            }
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "d",
                        "parametersJsonSchema": json.loads(schema),
                    }
                ]
            }
        ],
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}
        },
        "safetySettings": [{"category": "c"}],
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "seed": 7,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": json.loads(schema),
            "thinkingConfig": {"thinkingLevel": "low"},
            "maxOutputTokens": 1_000,
        },
    }


async def test_thoughts_and_calls_are_handed_back_unharmed(upstream, gemini):
    """The signature stands where it stood; ids that were made up here are not sent."""
    upstream.plays = [generated(CALL, {"functionCall": {"name": "time", "id": "own", "args": {}}})]
    told = await gemini.complete(call("gemini-3.8-flash"), soon())
    message = told.choices[0].message
    assert len({each.id for each in message.tool_calls}) == 2
    wanted = call("gemini-3.8-flash")
    wanted.prompt.messages.append(message)
    for each, said in zip(message.tool_calls, ('{"sun":true}', "noon"), strict=True):
        wanted.prompt.messages.append(
            chat_pb2.Message(role=chat_pb2.ROLE_TOOL, tool_call_id=each.id, content=said)
        )
    await gemini.complete(wanted, soon())
    _, model, results = upstream.seen[1].body["contents"]
    assert model == {
        "role": "model",
        "parts": [CALL, {"functionCall": {"name": "time", "id": "own", "args": {}}}],
    }
    assert results == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "weather", "response": {"sun": True}}},
            {"functionResponse": {"name": "time", "id": "own", "response": {"result": "noon"}}},
        ],
    }


async def test_calls_of_another_model(upstream, gemini):
    """Gemini 3 refuses calls without a signature; for those it never made there is a word."""
    upstream.plays = [generated({"text": "x"})]
    wanted = call("gemini-3.8-flash")
    made = chat_pb2.ToolCall(id="call_1", name="weather", arguments_json="{}")
    wanted.prompt.messages.append(
        chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, tool_calls=[made, made])
    )
    await gemini.complete(wanted, soon())
    parts = upstream.seen[0].body["contents"][1]["parts"]
    assert ["thoughtSignature" in part for part in parts] == [True, False]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", chat_pb2.FINISH_REASON_STOP),
        ("MAX_TOKENS", chat_pb2.FINISH_REASON_LENGTH),
        ("SAFETY", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("SPII", chat_pb2.FINISH_REASON_CONTENT_FILTER),
    ],
)
async def test_why_an_answer_ended(upstream, gemini, reason, finish):
    upstream.plays = [generated({"text": "x"}, reason=reason)]
    told = await gemini.complete(call("m"), soon())
    assert told.choices[0].finish_reason == finish


async def test_a_prompt_that_was_blocked(upstream, gemini):
    """No candidate at all: an empty answer that says why, with what it cost."""
    upstream.plays = [{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE}]
    told = await gemini.complete(call("m"), soon())
    assert told.choices[0].finish_reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
    assert told.usage == BUCKETS


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("play", "kind", "reason"),
    [
        (Failure(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT",
            "message": "canary"}}), ProviderRefused, Refusal.REQUEST_INVALID),
        (Failure(400, {"error": {"code": 400, "message": "The input token count (9) exceeds the"
            " maximum number of tokens allowed (8)."}}), ProviderRefused, Refusal.CONTEXT_TOO_LONG),
        (Failure(400, {"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}),
            ProviderUnavailable, Unavailability.CREDENTIALS),
        (Failure(429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
            "details": [{"retryDelay": "7s"}]}}]), ProviderUnavailable,
            Unavailability.RATE_LIMITED),
        (Failure(503, {"error": {"status": "UNAVAILABLE"}}), ProviderUnavailable,
            Unavailability.SERVER_ERROR),
    ],
)  # fmt: skip
async def test_errors(upstream, gemini, *, streamed, play, kind, reason):
    """In the port's words; a wait that only the body tells is obeyed; nothing is quoted."""
    upstream.plays = [play]
    error = await failure(gemini, call("m"), streamed)
    assert (type(error), error.reason) == (kind, reason)
    if reason is Unavailability.RATE_LIMITED:
        assert error.retry_after_seconds == 7
    assert "canary" not in str(error)


async def test_a_stream_that_breaks_off(upstream, gemini):
    upstream.plays = [[generated({"text": "Gu"}, reason="")]]
    error = await failure(gemini, call("m"), streamed=True)
    assert error.reason is Unavailability.RESET


@pytest.mark.parametrize(
    "extra", ['{"logit_bias":{}}', '{"parallel_tool_calls":false}', '{"prediction":{"a":1}}']
)
async def test_what_it_lacks_is_named(upstream, gemini, open_gemini, extra):
    upstream.plays = [generated({"text": "x"})]
    name = next(iter(json.loads(extra)))
    error = await failure(gemini, call("m", extra_json=extra), streamed=False)
    assert (error.reason, error.param) == (Refusal.OPTION_UNSUPPORTED, name)
    told = await open_gemini(unsupported="drop").complete(call("m", extra_json=extra), soon())
    assert told.warnings == (f"{name} was left out: fake lacks it",)


@pytest.mark.parametrize(
    ("told", "buckets"),
    [
        (None, None),
        ({"promptTokenCount": 5, "totalTokenCount": 9, "candidatesTokenCount": 1},
            chat_pb2.TokenUsage(input_tokens=5, output_tokens=1, reasoning_tokens=3)),
        ({"promptTokenCount": 5, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 1},
            chat_pb2.TokenUsage(input_tokens=9, output_tokens=1)),
        ({"promptTokenCount": 5, "totalTokenCount": 3}, None),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 6}, None),
        ({"promptTokenCount": 0}, None),
        ({"promptTokenCount": -1}, None),
        ([], None),
    ],
)  # fmt: skip
def test_usage(told, buckets):
    """Buckets add up to what was told, or nothing is believed."""
    reading = read_usage_metadata(told)
    assert reading.usage == buckets
    assert reading.impossible == (buckets is None and told is not None)
