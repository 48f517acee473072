"""What of a conversation's facts survives a cut: which exact strings used later are still there.

Each conversation is cut at half and at three quarters. Of what came before, a context of a share
of its tokens is built: the newest messages in three fifths, facts in two fifths. Counted are the
ids, numbers and names of the next four messages, and the arguments of the tool calls in the next
eight, that had been said before the cut. The study's own figures for the same: 25 % .739 entities
and .741 arguments, 50 % .935 and .921 (conversations with tools).
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.context import memory
from services.tokenizer.context.fit import MEMORY_PERMILLE
from services.tokenizer.messages import INSTRUCTIONS, message_tally
from services.tokenizer.meter import Meter

SHARES_PERMILLE = (250, 500)
ENTITY_MESSAGES = 4
CALL_MESSAGES = 8
ARGUMENT_CHARS_MIN = 3
PERMILLE = 1000


def recall(talks: Sequence[Sequence[chat.Message]], meter: Meter) -> dict[str, Any]:
    """Shares kept, by share of the history's tokens and kind of conversation."""
    found: dict[str, Any] = {}
    for share in SHARES_PERMILLE:
        sums: dict[str, list[int]] = {}
        for talk in talks:
            body = [message for message in talk if message.role not in INSTRUCTIONS]
            kind = "with_tools" if any(message.tool_calls for message in body) else "without"
            for cut in (len(body) // 2, len(body) * 3 // 4):
                for what, kept in _kept(body, cut, share, meter):
                    counted = sums.setdefault(f"{kind}_{what}", [0, 0])
                    counted[0] += kept
                    counted[1] += 1
        found[f"{share // 10}_percent_of_tokens"] = {
            name: round(kept / used, 3) for name, (kept, used) in sorted(sums.items())
        }
    return found


def _kept(
    body: Sequence[chat.Message], cut: int, share: int, meter: Meter
) -> Iterator[tuple[str, bool]]:
    """("entities" or "arguments", whether it is still there) for each string used later."""
    history, tokens = body[:cut], [message_tally(message, meter).tokens for message in body[:cut]]
    budget = sum(tokens) * share // PERMILLE
    facts_max = budget * MEMORY_PERMILLE // PERMILLE
    room, begin = budget - facts_max, cut
    while begin > 0 and tokens[begin - 1] <= room:
        begin -= 1
        room -= tokens[begin]
    facts = memory.facts(history[:begin], history[begin:], facts_max, meter.tokens)
    context, before = _text(history[begin:]) + facts, _text(history)
    later = {
        entity
        for message in body[cut : cut + ENTITY_MESSAGES]
        for entity in memory.entities(message)
    }
    for entity in sorted(later):
        if entity in before:
            yield "entities", entity in context
    for message in body[cut : cut + CALL_MESSAGES]:
        for argument in sorted(_arguments(message)):
            if len(argument) >= ARGUMENT_CHARS_MIN and argument in before:
                yield "arguments", argument in context


def _text(messages: Sequence[chat.Message]) -> str:
    return "\n".join(text for message in messages for text in memory.texts_of(message))


def _arguments(message: chat.Message) -> set[str]:
    found: set[str] = set()
    for call in message.tool_calls:
        try:
            found.update(_leaves(json.loads(call.arguments_json)))
        except ValueError:
            continue
    return found


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
