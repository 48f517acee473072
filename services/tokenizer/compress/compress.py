"""The verb Compress: the rules in order, and what each of them saved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer import limits
from services.tokenizer.compress.extract import extract
from services.tokenizer.compress.lossless import minify_json, squeeze_whitespace
from services.tokenizer.compress.results import drop_repeated, elide_old
from services.tokenizer.compress.wording import abbreviate, drop_fillers
from services.tokenizer.errors import compression_invalid
from services.tokenizer.messages import message_tally
from services.tokenizer.meter import Meter, Tally

RESULTS_KEPT: Final = 3


class Rule(Enum):
    """A rule family, in the order they are applied."""

    ELIDE = "elide"
    JSON = "json"
    WHITESPACE = "whitespace"
    DUPLICATES = "duplicates"
    FILLERS = "fillers"
    ABBREVIATIONS = "abbreviations"
    EXTRACT = "extract"


DEFAULT_RULES: Final = frozenset({Rule.ELIDE, Rule.DUPLICATES, Rule.JSON, Rule.WHITESPACE})
_INSTRUCTIONS: Final = frozenset({chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER, chat.ROLE_USER})


@dataclass(frozen=True, slots=True)
class Removal:
    """What one rule took from one message."""

    rule: Rule
    place: int
    tokens: int
    chars: int


@dataclass(frozen=True, slots=True)
class Options:
    """Which rules, and how far they go."""

    rules: frozenset[Rule] = DEFAULT_RULES
    results_kept: int = RESULTS_KEPT
    keep_permille: int = 0
    query: str = ""
    # Beside tool results: the application's and the user's messages.
    instructions: bool = False


@dataclass(frozen=True, slots=True)
class Compressed:
    """The shorter messages."""

    messages: list[chat.Message]
    before: Tally
    after: Tally
    removals: list[Removal]


def compress(messages: Sequence[chat.Message], options: Options, meter: Meter) -> Compressed:
    """Applies the rules to copies of the messages; a step that saves no token is not taken.

    The assistant's words are never touched: the model would take them for its own. Nor is
    content in parts. CPU work.

    Raises: InvalidFields (PROMPT_INVALID, COMPRESSION_INVALID), TextTooLarge.
    """
    limits.check_prompt(chat.Prompt(messages=messages))
    if options.results_kept < 0:
        raise compression_invalid("tool_results_kept", "must be 0 or more")
    if Rule.EXTRACT in options.rules and not 1 <= options.keep_permille < 1000:
        raise compression_invalid("keep_permille", "must be 1 to 999 for extraction")
    before = _total(messages, meter)
    work = _Work(messages, meter)
    if Rule.ELIDE in options.rules:
        for place, stub in elide_old(work.messages, options.results_kept).items():
            work.change(Rule.ELIDE, place, lambda _, stub=stub: stub)  # type: ignore[misc]  # default binds it
    seen: set[str] = set()
    for place, message in enumerate(work.messages):
        if not message.content:
            continue
        for rule, change in _changes(message, options, seen, meter, messages):
            work.change(rule, place, change)
    return Compressed(work.messages, before, _total(work.messages, meter), work.removals)


def _changes(
    message: chat.Message,
    options: Options,
    seen: set[str],
    meter: Meter,
    messages: Sequence[chat.Message],
) -> list[tuple[Rule, Callable[[str], str]]]:
    instructs = message.role in _INSTRUCTIONS
    if not (message.role == chat.ROLE_TOOL or (instructs and options.instructions)):
        return []
    changes: list[tuple[Rule, Callable[[str], str]]] = [
        (Rule.JSON, minify_json),
        (Rule.WHITESPACE, squeeze_whitespace),
        (Rule.DUPLICATES, lambda text: drop_repeated(text, seen)),
    ]
    if instructs:
        changes.append((Rule.FILLERS, drop_fillers))
        changes.append((Rule.ABBREVIATIONS, abbreviate))
    query = options.query or _last_question(messages)
    if message.content != query:
        changes.append(
            (
                Rule.EXTRACT,
                lambda text: extract(
                    text, options.keep_permille, query, lambda piece: _tokens(piece, meter)
                ),
            )
        )
    return [(rule, change) for rule, change in changes if rule in options.rules]


class _Work:
    """The messages as they get shorter."""

    def __init__(self, messages: Sequence[chat.Message], meter: Meter) -> None:
        self.messages = [_copy(message) for message in messages]
        self.removals: list[Removal] = []
        self._meter = meter

    def change(self, rule: Rule, place: int, change: Callable[[str], str]) -> None:
        old = self.messages[place].content
        new = change(old)
        if new == old or not new:
            return
        saved = _tokens(old, self._meter) - _tokens(new, self._meter)
        if saved > 0:
            self.messages[place].content = new
            self.removals.append(Removal(rule, place, saved, len(old) - len(new)))


def _copy(message: chat.Message) -> chat.Message:
    copied = chat.Message()
    copied.CopyFrom(message)
    return copied


def _tokens(text: str, meter: Meter) -> int:
    tally = Tally()
    meter.text(text, tally)
    return tally.tokens


def _total(messages: Sequence[chat.Message], meter: Meter) -> Tally:
    total = Tally()
    for message in messages:
        total.include(message_tally(message, meter))
    return total


def _last_question(messages: Sequence[chat.Message]) -> str:
    for message in reversed(messages):
        if message.role == chat.ROLE_USER:
            return message.content
    return ""
