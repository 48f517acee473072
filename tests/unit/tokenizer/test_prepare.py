import base64
import json
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spendgate.chat.v1 import chat_pb2 as chat
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from services.tokenizer.context.convert import prepared_of
from services.tokenizer.meter import Meter
from services.tokenizer.prepare import prepare

MeterFor = Callable[[str], Meter]
EXACT = pb.COUNT_METHOD_EXACT
ESTIMATED = pb.COUNT_METHOD_ESTIMATED

# The examples of OpenAI's cookbook, "How to count tokens with tiktoken", sections 6 and 7; the
# numbers were checked there against the API.
JARGON = [
    (
        chat.ROLE_SYSTEM,
        "",
        "You are a helpful, pattern-following assistant that translates corporate jargon into "
        "plain English.",
    ),
    (chat.ROLE_SYSTEM, "example_user", "New synergies will help drive top-line growth."),
    (
        chat.ROLE_SYSTEM,
        "example_assistant",
        "Things working well together will increase revenue.",
    ),
    (
        chat.ROLE_SYSTEM,
        "example_user",
        "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
    ),
    (
        chat.ROLE_SYSTEM,
        "example_assistant",
        "Let's talk later when we're less busy about how to do better.",
    ),
    (
        chat.ROLE_USER,
        "",
        "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    ),
]
WEATHER_TOOL = chat.Tool(
    name="get_current_weather",
    description="Get the current weather in a given location",
    parameters_json=json.dumps(
        {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The city and state, e.g. San Francisco, CA",
                },
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        }
    ),
)
WEATHER = [
    chat.Message(
        role=chat.ROLE_SYSTEM,
        content="You are a helpful assistant that can answer to questions about the weather.",
    ),
    chat.Message(role=chat.ROLE_USER, content="What's the weather like in San Francisco?"),
]


def prepared(meter_for: MeterFor, model: str, prompt: chat.Prompt) -> pb.Prepared:
    meter = meter_for(model)
    return prepared_of(meter.model, prepare(prompt, meter))


def user(text: str) -> chat.Message:
    return chat.Message(role=chat.ROLE_USER, content=text)


def picture(url: str, detail: str = "high") -> chat.Prompt:
    part = chat.ContentPart(image=chat.Image(url=url, detail=detail))
    return chat.Prompt(messages=[chat.Message(role=chat.ROLE_USER, parts=[part])])


def png_url(width: int, height: int) -> str:
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + struct.pack(">II", width, height)
    return "data:image/png;base64," + base64.b64encode(header + bytes(12)).decode()


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-3.5-turbo", 129),
        ("gpt-4", 129),
        ("gpt-4-0613", 129),
        ("gpt-4o", 124),
        ("gpt-4o-mini", 124),
    ],
)
def test_the_published_example_of_messages(meter_for: MeterFor, model: str, tokens: int) -> None:
    """Six messages, some with names, count as the API counted them."""
    prompt = chat.Prompt(
        messages=[chat.Message(role=role, name=name, content=text) for role, name, text in JARGON]
    )
    answer = prepared(meter_for, model, prompt)
    assert (answer.input.tokens, answer.input.method) == (tokens, EXACT)
    assert answer.input.error_bound_permille == 0


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("gpt-3.5-turbo", 105), ("gpt-4", 105), ("gpt-4o", 101), ("gpt-4o-mini", 101)],
)
def test_the_published_example_of_a_tool(meter_for: MeterFor, model: str, tokens: int) -> None:
    """A function with an enum counts as the API counted it."""
    answer = prepared(meter_for, model, chat.Prompt(messages=WEATHER, tools=[WEATHER_TOOL]))
    assert (answer.input.tokens, answer.input.method) == (tokens, EXACT)


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [("gpt-4o", 1024, 1024, 765), ("gpt-4o", 2048, 4096, 1105), ("gpt-4.1-mini", 1800, 2400, 2353)],
)
def test_a_picture_of_known_size_is_exact(
    meter_for: MeterFor, model: str, width: int, height: int, tokens: int
) -> None:
    """A data: URL tells its size: 765 and 1105 tokens by tiles, 1452 patches times 1.62."""
    answer = prepared(meter_for, model, picture(png_url(width, height)))
    # A message costs 3 and its role 1; the reply is primed with 3.
    assert (answer.input.tokens - 7, answer.input.method) == (tokens, EXACT)


def test_a_picture_behind_a_link_is_an_estimate(meter_for: MeterFor) -> None:
    """Nobody fetches a link, so its picture is an estimate that says how far off it may be."""
    answer = prepared(meter_for, "gpt-4o", picture("https://example.com/cat.jpg"))
    assert (answer.input.tokens - 7, answer.input.method) == (765, ESTIMATED)
    assert answer.input.error_bound_permille > 500


def test_parts_count_like_content(meter_for: MeterFor) -> None:
    """The same text in a part costs the same as in content."""
    whole = chat.Prompt(messages=[user("Where is my parcel?")])
    part = chat.ContentPart(text="Where is my parcel?")
    parted = chat.Prompt(messages=[chat.Message(role=chat.ROLE_USER, parts=[part])])
    assert prepared(meter_for, "gpt-4o", whole) == prepared(meter_for, "gpt-4o", parted)


def test_segments_say_what_the_tokens_are_for(meter_for: MeterFor) -> None:
    """Instructions, tools, what was said before, what is new and the priming are told apart."""
    prompt = chat.Prompt(
        messages=[
            chat.Message(role=chat.ROLE_SYSTEM, content="Be brief."),  # 3 + 1 + 3
            user("Hello"),  # 3 + 1 + 1
            chat.Message(role=chat.ROLE_ASSISTANT, content="Hello"),  # 3 + 1 + 1
            chat.Message(role=chat.ROLE_DEVELOPER, content="Be brief."),  # 3 + 1 + 3
            user("Hello"),
            chat.Message(role=chat.ROLE_TOOL, content="Hello", tool_call_id="c1"),
        ],
        tools=[WEATHER_TOOL],
    )
    segments = prepared(meter_for, "gpt-4o", prompt).segments
    assert segments == pb.Segments(
        system_tokens=14, tools_tokens=68, history_tokens=10, new_tokens=10, overhead_tokens=3
    )


def test_without_a_user_message_nothing_is_history(meter_for: MeterFor) -> None:
    """A prompt that goes on from the assistant's words is new as a whole."""
    prompt = chat.Prompt(messages=[chat.Message(role=chat.ROLE_ASSISTANT, content="Hello")])
    segments = prepared(meter_for, "gpt-4o", prompt).segments
    assert (segments.history_tokens, segments.new_tokens) == (0, 5)


def test_a_tool_call_is_counted_and_estimated(meter_for: MeterFor) -> None:
    """Calls cost their name and arguments and a markup that nobody published."""

    def tokens(calls: int) -> pb.TokenCount:
        call = chat.ToolCall(id="c", name="find_order", arguments_json='{"id": 7}')
        said = chat.Message(role=chat.ROLE_ASSISTANT, tool_calls=[call] * calls)
        return prepared(meter_for, "gpt-4o", chat.Prompt(messages=[said, user("?")])).input

    one, two, three = tokens(1), tokens(2), tokens(3)
    assert one.method == ESTIMATED
    assert one.error_bound_permille > 0
    # Users measured 49 more for the second parallel call and 25 for each later one.
    assert 40 <= two.tokens - one.tokens <= 60
    assert 20 <= three.tokens - two.tokens <= 35


def test_another_vendors_model_is_an_estimate(meter_for: MeterFor) -> None:
    """Claude's count is more than OpenAI's for the same prompt, and says that it is a guess."""
    prompt = chat.Prompt(
        messages=[user("Where is my parcel? It should have come on Monday. " * 20)]
    )
    openai = prepared(meter_for, "gpt-4o", prompt).input
    claude = prepared(meter_for, "claude-sonnet-4-5", prompt).input
    assert claude.method == ESTIMATED
    assert claude.encoding == "o200k_base"
    assert 1.15 < claude.tokens / openai.tokens < 1.25
    assert 100 <= claude.error_bound_permille <= 200


def test_smollm_is_estimated_as_it_was_measured(meter_for: MeterFor) -> None:
    """The embedded model reported 27 and 37 tokens for these two prompts."""
    question = user("What is the capital of France?")
    system = chat.Message(role=chat.ROLE_SYSTEM, content="You are a helpful assistant.")
    for messages, reported in (([system, question], 27), ([question], 37)):
        count = prepared(meter_for, "smollm2", chat.Prompt(messages=messages)).input
        assert abs(count.tokens - reported) * 1000 <= count.tokens * count.error_bound_permille


def test_unread_fields_are_counted_as_an_estimate(meter_for: MeterFor) -> None:
    """What Spendgate hands through unread still costs tokens."""
    plain = prepared(meter_for, "gpt-4o", chat.Prompt(messages=[user("Hi")])).input.tokens
    extra = json.dumps({"type": "file", "file": {"name": "manual", "text": "word " * 50}})
    for message in (
        chat.Message(role=chat.ROLE_USER, content="Hi", extra_json=extra),
        chat.Message(
            role=chat.ROLE_USER,
            parts=[chat.ContentPart(text="Hi"), chat.ContentPart(extra_json=extra)],
        ),
    ):
        count = prepared(meter_for, "gpt-4o", chat.Prompt(messages=[message])).input
        assert count.method == ESTIMATED
        assert count.tokens >= plain + 50


def test_sound_is_counted_by_its_length(meter_for: MeterFor) -> None:
    """Sound costs tokens by the second."""
    sound = chat.ContentPart(audio=chat.Audio(data=bytes(320_000), format="wav"))
    prompt = chat.Prompt(messages=[chat.Message(role=chat.ROLE_USER, parts=[sound])])
    count = prepared(meter_for, "gpt-4o", prompt).input
    assert (count.tokens, count.method) == (100 + 7, ESTIMATED)


TEXTS = st.text(st.characters(categories=None, exclude_categories=("Cs",)), max_size=30)
MESSAGES = st.builds(
    lambda role, text, name: chat.Message(role=role, content=text or "x", name=name[:16]),
    st.sampled_from([chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER, chat.ROLE_USER, chat.ROLE_ASSISTANT]),
    TEXTS,
    TEXTS,
)
MODELS = ["gpt-4o", "gpt-4", "gpt-oss-20b", "claude-opus-4-7", "gemini-2.5-pro", "smollm2", "x"]


@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=6),
    tool=st.booleans(),
    model=st.sampled_from(MODELS),
)
@settings(max_examples=200, deadline=None)
def test_segments_sum_to_the_input(
    meter_for: MeterFor, messages: list[chat.Message], tool: bool, model: str
) -> None:
    """Whatever the prompt, its segments sum to its input, and exact means a bound of 0."""
    tools = [WEATHER_TOOL] if tool else []
    answer = prepared(meter_for, model, chat.Prompt(messages=messages, tools=tools))
    parts = answer.segments
    assert answer.input.tokens == (
        parts.system_tokens
        + parts.tools_tokens
        + parts.history_tokens
        + parts.new_tokens
        + parts.overhead_tokens
    )
    assert answer.input.tokens > 0
    assert (answer.input.method == EXACT) == (answer.input.error_bound_permille == 0)
    assert (parts.tools_tokens > 0) == tool


@given(messages=st.lists(MESSAGES, min_size=1, max_size=5), more=MESSAGES)
@settings(max_examples=100, deadline=None)
def test_a_message_more_costs_what_it_costs_alone(
    meter_for: MeterFor, messages: list[chat.Message], more: chat.Message
) -> None:
    """Messages add up: nothing in one changes the count of another."""

    def tokens(them: list[chat.Message]) -> int:
        return prepared(meter_for, "gpt-4o", chat.Prompt(messages=them)).input.tokens

    assert tokens([*messages, more]) == tokens(messages) + tokens([more]) - 3
