"""The verb Prepare: what a model will be asked to read, by segment."""

from dataclasses import dataclass

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer import limits
from services.tokenizer.media.picture_size import size_in_data_url
from services.tokenizer.media.pictures import picture_tokens
from services.tokenizer.media.sound import sound_tokens
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.tools import UNREAD_BOUND_PERMILLE, measure_calls, measure_tools

_ROLE_WORDS = {
    chat.ROLE_SYSTEM: "system",
    chat.ROLE_DEVELOPER: "developer",
    chat.ROLE_USER: "user",
    chat.ROLE_ASSISTANT: "assistant",
    chat.ROLE_TOOL: "tool",
}
_INSTRUCTIONS = frozenset({chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER})


@dataclass(frozen=True, slots=True)
class Segments:
    """Input tokens by what they are for; they sum to the whole input."""

    system: Tally
    tools: Tally
    history: Tally
    new: Tally
    overhead: Tally

    def total(self) -> Tally:
        """All of them."""
        total = Tally()
        for part in (self.system, self.tools, self.history, self.new, self.overhead):
            total.include(part)
        return total


def prepare(prompt: chat.Prompt, meter: Meter) -> Segments:
    """Checks and measures a prompt. CPU work; text of any length.

    Raises: InvalidFields (PROMPT_INVALID), TextTooLarge, and what the meter's checkpoint raises.
    """
    limits.check_prompt(prompt)
    segments = Segments(Tally(), Tally(), Tally(), Tally(), Tally())
    new_from = _new_from(prompt)
    for place, message in enumerate(prompt.messages):
        if message.role in _INSTRUCTIONS:
            tally = segments.system
        elif place < new_from:
            tally = segments.history
        else:
            tally = segments.new
        tally.include(message_tally(message, meter))
    if prompt.tools or prompt.response_format_json:
        segments.tools.include(_tools(prompt, meter))
    rules = meter.model.chat
    overhead = rules.reply_tokens + rules.preamble_tokens
    if not any(message.role in _INSTRUCTIONS for message in prompt.messages):
        overhead += rules.preamble_without_system_tokens
    segments.overhead.add(overhead, rules.bound_permille)
    segments.overhead.doubt(rules.noise_tokens)
    return segments


def _new_from(prompt: chat.Prompt) -> int:
    """Place of the last user message; 0 when there is none, for then nothing is history."""
    for place in range(len(prompt.messages) - 1, -1, -1):
        if prompt.messages[place].role == chat.ROLE_USER:
            return place
    return 0


def message_tally(message: chat.Message, meter: Meter) -> Tally:
    """One message; one that was seen before costs a hash."""
    return meter.remembered(
        message.SerializePartialToString(),
        lambda tally: _measure_message(message, meter, tally),
    )


def _tools(prompt: chat.Prompt, meter: Meter) -> Tally:
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
        meter.text(message.extra_json, tally, UNREAD_BOUND_PERMILLE)
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
        meter.text(part.extra_json, tally, UNREAD_BOUND_PERMILLE)
