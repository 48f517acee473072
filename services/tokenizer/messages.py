"""What one message of a prompt, or its tools, adds to what a model reads."""

from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.foreign import measure_extra
from services.tokenizer.media.picture_size import size_in_data_url
from services.tokenizer.media.pictures import picture_tokens
from services.tokenizer.media.sound import sound_tokens
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.tools import measure_calls, measure_tools

_ROLE_WORDS = {
    chat.ROLE_SYSTEM: "system",
    chat.ROLE_DEVELOPER: "developer",
    chat.ROLE_USER: "user",
    chat.ROLE_ASSISTANT: "assistant",
    chat.ROLE_TOOL: "tool",
}
INSTRUCTIONS: Final = frozenset({chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER})


def message_tally(message: chat.Message, meter: Meter) -> Tally:
    """One message; one that was seen before costs a hash."""
    return meter.remembered(
        message.SerializePartialToString(),
        lambda tally: _measure_message(message, meter, tally),
    )


def tools_tally(prompt: chat.Prompt, meter: Meter) -> Tally:
    """The tools and the schema of the answer, as one."""
    alone = chat.Prompt(tools=prompt.tools, response_format_json=prompt.response_format_json)
    # A kind of its own: the bytes of a list of tools could be those of a message.
    return meter.remembered(
        b"\xfftools:" + alone.SerializePartialToString(),
        lambda tally: measure_tools(prompt, meter, tally),
    )


def _measure_message(message: chat.Message, meter: Meter, tally: Tally) -> None:
    rules = meter.model.chat
    tally.add(rules.message_tokens, rules.bound_permille)
    if rules.role_counts:
        meter.word(_ROLE_WORDS[message.role], tally)
    if message.name:
        tally.add(rules.name_tokens, rules.bound_permille)
        meter.text(message.name, tally)
    if message.content:
        meter.text(message.content, tally)
    for part in message.parts:
        _measure_part(part, meter, tally)
    if message.refusal:
        meter.text(message.refusal, tally)
    if message.extra_json:
        measure_extra(message.extra_json, meter, tally)
    if message.tool_calls:
        measure_calls(message, meter, tally)


def _measure_part(part: chat.ContentPart, meter: Meter, tally: Tally) -> None:
    kind = part.WhichOneof("part")
    if kind == "text":
        meter.text(part.text, tally)
    elif kind == "image":
        size = size_in_data_url(part.image.url)
        tally.add_media(*picture_tokens(meter.model.pictures, size, part.image.detail))
    elif kind == "audio":
        rate = meter.model.audio_tokens_per_second
        tally.add_media(*sound_tokens(part.audio.data, part.audio.format, rate))
    if part.extra_json:
        measure_extra(part.extra_json, meter, tally)
