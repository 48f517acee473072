import math
from collections.abc import Callable

import pytest
from spendgate.chat.v1 import chat_pb2 as chat

from chassis.errors import InvalidFields
from services.tokenizer import limits
from services.tokenizer.errors import TextTooLarge

SECRET = "Zebra-7"
USER = chat.Message(role=chat.ROLE_USER, content="Hi")
PNG = "data:image/png;base64,aaaa"


def message(**fields: object) -> chat.Prompt:
    return chat.Prompt(messages=[USER, chat.Message(**fields)])


def part(**fields: object) -> chat.Prompt:
    return message(role=chat.ROLE_USER, parts=[chat.ContentPart(**fields)])


def sampling(**fields: object) -> chat.Prompt:
    return chat.Prompt(messages=[USER], sampling=chat.Sampling(**fields))


def call(**fields: object) -> chat.Prompt:
    return message(role=chat.ROLE_ASSISTANT, tool_calls=[chat.ToolCall(**fields)])


BROKEN = [
    (chat.Prompt(), "prompt.messages"),
    (chat.Prompt(messages=[USER] * 4097), "prompt.messages"),
    (message(content=SECRET), "prompt.messages[1].role"),
    (message(role=17, content=SECRET), "prompt.messages[1].role"),
    (message(role=chat.ROLE_USER), "prompt.messages[1].content"),
    (message(role=chat.ROLE_SYSTEM), "prompt.messages[1].content"),
    (message(role=chat.ROLE_ASSISTANT), "prompt.messages[1].content"),
    (
        message(role=chat.ROLE_USER, content=SECRET, parts=[chat.ContentPart(text=SECRET)]),
        "prompt.messages[1].parts",
    ),
    (
        message(role=chat.ROLE_USER, parts=[chat.ContentPart(text="a")] * 257),
        "prompt.messages[1].parts",
    ),
    (message(role=chat.ROLE_USER, parts=[chat.ContentPart()]), "prompt.messages[1].parts[0]"),
    (message(role=chat.ROLE_USER, content="a", name="é" * 33), "prompt.messages[1].name"),
    (
        message(role=chat.ROLE_TOOL, content="a", tool_call_id="a" * 129),
        "prompt.messages[1].tool_call_id",
    ),
    (
        message(role=chat.ROLE_USER, content="a", tool_calls=[chat.ToolCall(id="1", name="f")]),
        "prompt.messages[1].tool_calls",
    ),
    (
        message(role=chat.ROLE_ASSISTANT, tool_calls=[chat.ToolCall(id="1", name="f")] * 129),
        "prompt.messages[1].tool_calls",
    ),
    (call(name="f"), "prompt.messages[1].tool_calls[0].id"),
    (call(id="1"), "prompt.messages[1].tool_calls[0].name"),
    (part(image=chat.Image()), "prompt.messages[1].parts[0].image.url"),
    (part(image=chat.Image(url="http://a/b")), "prompt.messages[1].parts[0].image.url"),
    (part(image=chat.Image(url="file:///a")), "prompt.messages[1].parts[0].image.url"),
    (part(image=chat.Image(url=PNG, detail=SECRET)), "prompt.messages[1].parts[0].image.detail"),
    (part(audio=chat.Audio(format="wav")), "prompt.messages[1].parts[0].audio.data"),
    (part(audio=chat.Audio(data=b"a", format="ogg")), "prompt.messages[1].parts[0].audio.format"),
    (chat.Prompt(messages=[USER], tools=[chat.Tool()]), "prompt.tools[0].name"),
    (chat.Prompt(messages=[USER], tools=[chat.Tool(name="a" * 129)]), "prompt.tools[0].name"),
    (chat.Prompt(messages=[USER], tools=[chat.Tool(name="a")] * 513), "prompt.tools"),
    (sampling(temperature=-0.1), "prompt.sampling.temperature"),
    (sampling(temperature=math.nan), "prompt.sampling.temperature"),
    (sampling(top_p=0), "prompt.sampling.top_p"),
    (sampling(top_p=1.1), "prompt.sampling.top_p"),
    (sampling(output_tokens_max=-1), "prompt.sampling.output_tokens_max"),
    (sampling(output_tokens_max=0), "prompt.sampling.output_tokens_max"),
    (sampling(stop=["a"] * 17), "prompt.sampling.stop"),
    (sampling(choice_count=17), "prompt.sampling.choice_count"),
    (sampling(presence_penalty=3), "prompt.sampling.presence_penalty"),
    (sampling(frequency_penalty=math.inf), "prompt.sampling.frequency_penalty"),
]


@pytest.mark.parametrize(("prompt", "field"), BROKEN)
def test_a_broken_rule_names_its_field(prompt: chat.Prompt, field: str) -> None:
    """Each rule of the contract is refused with the path of the one field that breaks it."""
    with pytest.raises(InvalidFields) as refused:
        limits.check_prompt(prompt)
    assert refused.value.reason == "PROMPT_INVALID"
    assert [violation.field for violation in refused.value.violations] == [field]
    assert not any(SECRET in violation.description for violation in refused.value.violations)


@pytest.mark.parametrize(
    "prompt",
    [
        chat.Prompt(messages=[USER] * 4096),
        message(role=chat.ROLE_ASSISTANT, tool_calls=[chat.ToolCall(id="1", name="f")] * 128),
        message(role=chat.ROLE_ASSISTANT, refusal="I will not."),
        message(role=chat.ROLE_TOOL, tool_call_id="1"),
        message(role=chat.ROLE_USER, content="a", name="a" * 64),
        message(role=chat.ROLE_USER, parts=[chat.ContentPart(text="a")] * 256),
        part(image=chat.Image(url="HTTPS://a/b", detail="auto")),
        part(image=chat.Image(url=PNG)),
        part(extra_json='{"type": "file"}'),
        sampling(temperature=2, top_p=1, output_tokens_max=1, choice_count=16, stop=["a"] * 16),
        sampling(presence_penalty=-2, frequency_penalty=2),
    ],
)
def test_what_the_contract_allows_passes(prompt: chat.Prompt) -> None:
    """Limits include their ends."""
    limits.check_prompt(prompt)


def test_broken_rules_are_told_together() -> None:
    """A caller learns of several broken rules at once, and of no more than are of use."""
    with pytest.raises(InvalidFields) as refused:
        limits.check_prompt(chat.Prompt(messages=[chat.Message()] * 3))
    assert len(refused.value.violations) == 6
    with pytest.raises(InvalidFields) as refused:
        limits.check_prompt(chat.Prompt(messages=[chat.Message()] * 4000))
    assert len(refused.value.violations) == limits.VIOLATIONS_MAX


@pytest.mark.parametrize("char", ["a", "é", "中", "😀"])
def test_the_text_limit_is_in_bytes_of_utf8(char: str) -> None:
    """Exactly 4 MiB pass, one byte more does not; the error carries both numbers."""
    size = len(char.encode())
    fits = char * (limits.TEXT_BYTES_MAX // size) + "a" * (limits.TEXT_BYTES_MAX % size)
    limits.check_text(fits)
    with pytest.raises(TextTooLarge) as refused:
        limits.check_text(fits + "a")
    assert refused.value.text_bytes == limits.TEXT_BYTES_MAX + 1
    assert refused.value.text_bytes_max == limits.TEXT_BYTES_MAX


HALF = "a" * (limits.TEXT_BYTES_MAX // 2)


@pytest.mark.parametrize(
    "second",
    [
        lambda text: {"messages": [chat.Message(role=chat.ROLE_USER, content=text)]},
        lambda text: {
            "messages": [
                chat.Message(
                    role=chat.ROLE_ASSISTANT,
                    tool_calls=[chat.ToolCall(id="1", name="f", arguments_json=text)],
                )
            ]
        },
        lambda text: {
            "messages": [
                chat.Message(role=chat.ROLE_USER, parts=[chat.ContentPart(text=text)]),
            ]
        },
        lambda text: {"messages": [USER], "tools": [chat.Tool(name="f", description=text)]},
        lambda text: {"messages": [USER], "response_format_json": text},
    ],
)
def test_the_text_limit_is_over_the_whole_prompt(second: Callable[[str], dict]) -> None:
    """Texts of all kinds count together; two that fit alone do not fit together."""
    limits.check_prompt(chat.Prompt(**second(HALF)))
    prompt = chat.Prompt(**second(HALF + "a"))
    prompt.messages.append(chat.Message(role=chat.ROLE_USER, content=HALF))
    with pytest.raises(TextTooLarge):
        limits.check_prompt(prompt)


def test_pictures_are_no_text() -> None:
    """A large picture in a data: URL does not use up the room for text."""
    limits.check_prompt(part(image=chat.Image(url=PNG + "a" * limits.TEXT_BYTES_MAX)))


@pytest.mark.parametrize("name", ["", "   ", "m" * 257, "é" * 129])
def test_a_model_needs_a_name(name: str) -> None:
    """A missing or overlong model is refused by its own reason."""
    with pytest.raises(InvalidFields) as refused:
        limits.check_model(name)
    assert refused.value.reason == "MODEL_INVALID"
    assert refused.value.violations[0].field == "model"
    limits.check_model("m" * 256)
