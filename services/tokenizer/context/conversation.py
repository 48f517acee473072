"""One conversation as it grows: what each message added, told once.

It holds numbers and places, no text: what a call needs again is made from the prompt it brings.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer.compress.compress import Removal, Rule
from services.tokenizer.compress.lossless import (
    minify_json,
    quickest_minify,
    squeeze_whitespace,
)
from services.tokenizer.compress.results import blocks_of
from services.tokenizer.context.plan import CannotFit, Planner
from services.tokenizer.messages import INSTRUCTIONS, message_tally
from services.tokenizer.meter import Meter, Tally

Change = Callable[[str], str]
STABLE_RULES: Final = frozenset({Rule.JSON, Rule.WHITESPACE})


@dataclass(slots=True)
class Sums:
    """Tokens of instructions, of what was said before the last user message, and since."""

    system: Tally = field(default_factory=Tally)
    history: Tally = field(default_factory=Tally)
    new: Tally = field(default_factory=Tally)

    def add(self, role: "chat.Role", tally: Tally) -> None:
        """One more message."""
        if role in INSTRUCTIONS:
            self.system.include(tally)
            return
        if role == chat.ROLE_USER:
            self.history.include(self.new)
            self.new = Tally()
        self.new.include(tally)

    def copy(self) -> "Sums":
        """The sums as they are now."""
        return Sums(self.system.copy(), self.history.copy(), self.new.copy())


@dataclass(frozen=True, slots=True)
class Shorter:
    """A message that a rule made shorter, and how to do it again."""

    place: int
    change: Change
    removal: Removal


class Conversation:
    """Messages told one after another, oldest first.

    `rules` are those of STABLE_RULES to apply to tool results: what they make of a message
    depends on that message alone, so the prompt's beginning stays the same from call to call.
    """

    __slots__ = (
        "_answered",
        "_blocks",
        "_called",
        "_decided_at",
        "_equal_at",
        "_last_role",
        "_paragraph_at",
        "_rules",
        "_wholes",
        "as_given",
        "as_sent",
        "instructions",
        "last_question",
        "last_used",
        "planner",
        "shorter",
        "starts",
        "tallies",
    )

    def __init__(self, rules: frozenset[Rule], planner: Planner | None) -> None:
        self.planner = planner
        self.as_given, self.as_sent = Sums(), Sums()
        self.tallies: list[Tally] = []  # of each message, as sent
        self.instructions: list[int] = []
        self.starts: list[int] = []  # places where exchanges begin
        self.shorter: list[Shorter] = []
        self.last_used = 0.0
        self._rules = rules & STABLE_RULES
        self._called: set[str] = set()  # tool calls of the last exchange, and their results
        self._answered: set[str] = set()
        self._blocks: set[int] = set()  # hashes of the results' paragraphs
        self._wholes: list[tuple[int, int]] = []  # results that are one block: place and hash
        self._equal_at = self._paragraph_at = -1  # the last results that repeat something
        self.last_question = 0  # place of the last user message
        self._last_role = chat.ROLE_UNSPECIFIED
        self._decided_at = -1

    def __len__(self) -> int:
        return len(self.tallies)

    def add(self, message: chat.Message, meter: Meter) -> None:
        """The next message, checked before. Raises what the meter's checkpoint raises."""
        role, place = message.role, len(self.tallies)
        if role == chat.ROLE_ASSISTANT and place:
            self._replay_call()
        given = sent = message_tally(message, meter)
        if role == chat.ROLE_TOOL and message.content:
            sent = self._shortened(message, given, place, meter)
        self.as_given.add(role, given)
        self.as_sent.add(role, sent)
        self.tallies.append(sent)
        if role == chat.ROLE_USER:
            self.last_question = place
        if role in INSTRUCTIONS:
            self.instructions.append(place)
            if self.planner is not None:
                self.planner.instruct(sent.tokens)
            return
        self._join_exchange(message, place, sent.tokens)

    def paragraphs_repeat(self, begin: int) -> bool:
        """Whether a result from `begin` on may have a paragraph that another one had."""
        return self._paragraph_at >= max(0, begin)

    def equal_results(self, begin: int) -> list[tuple[int, int]]:
        """(place, place of the first from `begin` on that is probably equal) of JSON results."""
        if self._equal_at < begin:
            return []
        first: dict[int, int] = {}
        found = []
        for place, seen in self._wholes:
            if place >= begin and first.setdefault(seen, place) != place:
                found.append((place, first[seen]))
        return found

    def decide_now(self) -> bool:
        """True once for each length: a decision for it was not made yet."""
        if self._decided_at == len(self.tallies):
            return False
        self._decided_at = len(self.tallies)
        return True

    def _replay_call(self) -> None:
        """The call that this answer came from, when it was not seen here."""
        if self.planner is None or not self.decide_now():
            return
        with suppress(CannotFit):  # that call was refused, or the caller cut it for itself
            self.planner.decide()
        self.planner.called()

    def _note_blocks(self, text: str, place: int) -> None:
        for block in blocks_of(text):
            seen = hash(block)
            whole = len(block) == len(text)
            if whole:
                self._wholes.append((place, seen))
            if seen in self._blocks:
                if whole:
                    self._equal_at = place
                else:
                    self._paragraph_at = place
            self._blocks.add(seen)

    def _join_exchange(self, message: chat.Message, place: int, tokens: int) -> None:
        """A user's message begins an exchange, unless nobody has answered the one before or a
        tool's result is still to come."""
        asks = message.role == chat.ROLE_USER
        waits = self._last_role == chat.ROLE_USER or self._called - self._answered
        if not self.starts or (asks and not waits):
            self.starts.append(place)
            self._called, self._answered = set(), set()
            if self.planner is not None:
                self.planner.add()
        self._last_role = message.role
        for call in message.tool_calls:
            self._called.add(call.id)
        self._answered.add(message.tool_call_id)
        if self.planner is not None:
            self.planner.grow(tokens)

    def _shortened(self, message: chat.Message, given: Tally, place: int, meter: Meter) -> Tally:
        """The tally of the message as it is sent."""
        text = message.content
        rule = Rule.JSON
        change: Change = minify_json
        if Rule.JSON in self._rules and (less := minify_json(text)) != text:
            change = quickest_minify(text, less)
        elif Rule.WHITESPACE in self._rules and (less := squeeze_whitespace(text)) != text:
            rule, change = Rule.WHITESPACE, squeeze_whitespace
        else:
            less = ""
        saved = meter.tokens(text) - meter.tokens(less) if less else 0
        if saved <= 0:
            self._note_blocks(text, place)
            return given
        self._note_blocks(less, place)
        short = chat.Message()
        short.CopyFrom(message)
        short.content = less
        removal = Removal(rule, place, saved, len(text) - len(less))
        self.shorter.append(Shorter(place, change, removal))
        return message_tally(short, meter)
