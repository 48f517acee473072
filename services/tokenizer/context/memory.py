"""What stands for the exchanges left out: exact facts, or their weightiest sentences."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import regex  # type: ignore[import-untyped]  # it ships no types
from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.compress.extract import extract

FACTS_HEAD: Final = "Facts from earlier, newest first: "
SUMMARY_HEAD: Final = "From earlier in this conversation: "
_CONTEXT: Final = r"(?:[\p{L}_]+[\"':=# ]{1,4})?"
# Ids and numbers, addresses, names of one or more capitalised words, snake_case names.
ENTITY: Final = regex.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"
    r"|[A-Za-z_#$\u20ac\u00a3-]*\p{N}(?:[\w:/-]|[.,](?=\p{N}))*"
    r"|\b[a-z]+(?:_[a-z0-9]+)+\b"
    r"|\b\p{Lu}[\p{L}'\u2019-]+(?: \p{Lu}[\p{L}'\u2019-]+)*"
)
_WITH_WORD = regex.compile(rf"{_CONTEXT}({ENTITY.pattern})")


def texts_of(message: chat.Message) -> Iterator[str]:
    """All words of a message."""
    yield message.content
    for part in message.parts:
        yield part.text
    for call in message.tool_calls:
        yield call.arguments_json


def entities(message: chat.Message) -> set[str]:
    """Ids, numbers and names in a message."""
    return {found for text in texts_of(message) for found in ENTITY.findall(text)}


def facts(
    left_out: Sequence[chat.Message],
    kept: Sequence[chat.Message],
    tokens_max: int,
    count: Callable[[str], int],
) -> str:
    """Ids, numbers and names of what is left out: of what was said, then of tools' results.

    Newest first, those that were said with a word of context. What stands in `kept` anyway is
    not repeated. "" when nothing fits or nothing is there.
    """
    known = {found for message in kept for found in entities(message)}
    lines: list[str] = []
    room = tokens_max - count(FACTS_HEAD)
    newest = list(reversed(left_out))
    for message in sorted(newest, key=lambda each: each.role == chat.ROLE_TOOL):
        spoken = message.role != chat.ROLE_TOOL
        for text in texts_of(message):
            for found in _WITH_WORD.finditer(text):
                entity = found[1]
                if entity in known:
                    continue
                known.add(entity)
                # In a tool's result the word before is a key that stands there again and again.
                line = found[0] if spoken else entity
                room -= count(f"; {line}")
                if room < 0:
                    return _joined(lines)
                lines.append(line)
    return _joined(lines)


def summary(
    left_out: Sequence[chat.Message], tokens_max: int, query: str, count: Callable[[str], int]
) -> str:
    """The sentences of what is left out that say most, in order. "" when nothing fits."""
    text = "\n".join(text for message in left_out for text in texts_of(message) if text)
    whole = count(text)
    room = tokens_max - count(SUMMARY_HEAD)
    if not whole or room <= 0:
        return ""
    if whole > room:
        text = extract(text, room * 1000 // whole, query, count)
    return SUMMARY_HEAD + text if count(text) <= room else ""


def _joined(lines: list[str]) -> str:
    return FACTS_HEAD + "; ".join(lines) if lines else ""
