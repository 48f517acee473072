"""The verb FitContext: the messages to send this turn, and why these."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer import limits
from services.tokenizer.context import exchanges, memory
from services.tokenizer.context.plan import Plan, Policy, Shape, Talk, plan
from services.tokenizer.errors import context_invalid
from services.tokenizer.messages import message_tally
from services.tokenizer.meter import Meter, Tally

# Of what is kept at a cut, so much may be facts or a summary. At 400 more of what is used later
# survives than at 250, and hardly less than at 500 (docs/tokens.md).
MEMORY_PERMILLE: Final = 400
MEMORY_POLICIES: Final = frozenset({Policy.AUTO, Policy.WINDOW_WITH_FACTS, Policy.SUMMARY})


@dataclass(frozen=True, slots=True)
class Wish:
    """How to fit. `cut_from` is what the last answer said, 0 at first."""

    policy: Policy
    budget_tokens: int
    cut_from: int = 0
    idle_seconds: int = 0
    expected_rest_turns: int | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """The messages to send and their tokens by segment."""

    messages: list[chat.Message]
    system: Tally
    memory: Tally
    history: Tally
    new: Tally
    cut_from: int
    plan: Plan

    def total(self) -> Tally:
        """All segments."""
        total = Tally()
        for part in (self.system, self.memory, self.history, self.new):
            total.include(part)
        return total


def fit(messages: Sequence[chat.Message], wish: Wish, shape: Shape, meter: Meter) -> Fitted:
    """Chooses what to send. CPU work; messages counted before cost a hash.

    The cut stays where it was until there is a reason, so that the provider finds its prefix.
    Raises: InvalidFields (PROMPT_INVALID, CONTEXT_INVALID), TextTooLarge, CannotFit.
    """
    limits.check_prompt(chat.Prompt(messages=messages))
    if not 0 <= wish.cut_from < len(messages):
        raise context_invalid("cut_from_message", "is no place of a message")
    messages = list(messages)
    tallies = [message_tally(message, meter) for message in messages]
    instructions, parts = exchanges.split(messages, [tally.tokens for tally in tallies])
    cut = sum(1 for part in parts if part.start < wish.cut_from)
    if cut >= len(parts) > 0:
        raise context_invalid("cut_from_message", "leaves no exchange")
    remembers = wish.policy in MEMORY_POLICIES
    talk = Talk(
        sum(tallies[place].tokens for place in instructions),
        [part.tokens for part in parts],
        cut,
        wish.idle_seconds,
        wish.expected_rest_turns,
        memory_max(wish.policy, wish.budget_tokens),
        [
            sum(messages[place].role == chat.ROLE_ASSISTANT for place in part.places)
            for part in parts
        ],
    )
    decided = plan(wish.policy, talk, shape, wish.budget_tokens)
    begin = parts[decided.cut].start if decided.cut else 0
    kept = [place for part in parts[decided.cut :] for place in part.places]
    left_out = [messages[place] for part in parts[: decided.cut] for place in part.places]
    front = [messages[place] for place in instructions if place < begin]
    # Of the exchanges kept only the first was there, and finished, at any cut.
    first = [messages[place] for place in parts[decided.cut].places] if parts else []
    # Only what stood at the cut decides the memory, or it would change with every turn.
    words = ""
    if left_out and remembers:
        most = decided.memory_tokens_max
        words = words_of(wish.policy, left_out, [*front, *first], most, meter)
    extra = [chat.Message(role=chat.ROLE_SYSTEM, content=words)] if words else []
    new_from = parts[-1].start if parts else 0
    return Fitted(
        [*front, *extra, *messages[begin:]],
        _sum(tallies[place] for place in instructions),
        _sum(message_tally(message, meter) for message in extra),
        _sum(tallies[place] for place in kept if place < new_from),
        _sum(tallies[place] for place in kept if place >= new_from),
        begin,
        decided,
    )


def memory_max(policy: Policy, budget_tokens: int) -> int:
    """Most tokens that may stand for what is cut."""
    return budget_tokens // 2 * MEMORY_PERMILLE // 1000 if policy in MEMORY_POLICIES else 0


def words_of(
    policy: Policy,
    left_out: Sequence[chat.Message],
    kept: Sequence[chat.Message],
    tokens_max: int,
    meter: Meter,
) -> str:
    """Facts or a summary of what is left out, in at most so many tokens; "" when none fit."""
    if policy is Policy.SUMMARY:
        return memory.summary(left_out, tokens_max, "", meter.tokens)
    return memory.facts(left_out, kept, tokens_max, meter.tokens)


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.include(tally)
    return total
