"""The verb Prepare: what of a prompt a model will be asked to read, by segment.

Counted, made shorter and fitted in one go. A conversation that was seen up to its last turn is
known by the bytes of its beginning: only what is new is looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from spendgate.chat.v1 import chat_pb2 as chat

from services.tokenizer import limits
from services.tokenizer.compress.compress import Options, Removal, Rule, compress
from services.tokenizer.compress.results import pointer_to
from services.tokenizer.context.conversation import STABLE_RULES, Conversation, Sums
from services.tokenizer.context.fit import MEMORY_POLICIES, memory_max, words_of
from services.tokenizer.context.known import Conversations, ends_of
from services.tokenizer.context.plan import Plan, Planner, Policy, Shape
from services.tokenizer.errors import context_invalid
from services.tokenizer.messages import message_tally, tools_tally
from services.tokenizer.meter import Meter, Tally

# Rules that need nothing but the messages themselves and, for repeated ones, those before them.
_LIGHT: Final = STABLE_RULES | {Rule.DUPLICATES}
_REPEATED: Final = frozenset({Rule.DUPLICATES})


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


@dataclass(frozen=True, slots=True)
class Fit:
    """How to fit. `cut_from` None: where the calls before this one would have cut."""

    policy: Policy
    budget_tokens: int
    shape: Shape
    cut_from: int | None = None
    idle_seconds: int | None = None
    expected_rest_turns: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What to do beside counting. Conversations of different scopes know nothing of another."""

    compress: Options | None = None
    fit: Fit | None = None
    scope: bytes = b""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Tokens as sent and as given, and how the prompt is to be changed.

    `contents` are new contents by place; messages before `cut_from` that are no instructions
    are left out, `memory` stands in their place.
    """

    sent: Segments
    given: Segments
    contents: dict[int, str] = field(default_factory=dict)
    removals: list[Removal] = field(default_factory=list)
    cut_from: int = 0
    memory: str = ""
    memory_tokens: int = 0
    plan: Plan | None = None

    @property
    def changed(self) -> bool:
        """Whether anything is to be sent otherwise than it was given."""
        return bool(self.contents or self.cut_from)


_NOTHING: Final = Ask()


def prepare(
    prompt: chat.Prompt,
    meter: Meter,
    ask: Ask = _NOTHING,
    known: Conversations | None = None,
    now: Callable[[], float] = lambda: 0.0,
) -> Prepared:
    """Checks and measures a prompt. CPU work; text of any length.

    `now` is seconds on any clock that goes forward, to know how long a conversation paused.
    Raises: InvalidFields (PROMPT_INVALID, COMPRESSION_INVALID, CONTEXT_INVALID), TextTooLarge,
    CannotFit, and what the meter's checkpoint raises.
    """
    talk, digest = _recall(prompt, meter, ask, known)
    messages = prompt.messages
    limits.check_prompt(prompt, len(talk))
    idle = int(now() - talk.last_used) if len(talk) else 0
    for message in messages[len(talk) :]:
        talk.add(message, meter)
    plan = _decide(talk, ask.fit, idle) if ask.fit is not None else None
    done = _made(prompt, talk, ask, plan, meter)
    if known is not None:
        talk.last_used = now()
        known.put(digest, talk)
    return done


def _recall(
    prompt: chat.Prompt, meter: Meter, ask: Ask, known: Conversations | None
) -> tuple[Conversation, bytes]:
    """The conversation as far as it is known, and the digest to keep it under."""
    found, digest = None, b""
    rules = _stable(ask.compress)
    if known is not None:
        kind = b"%b|%b|%b" % (meter.kind, ask.scope, _way(rules, *_plan_of(ask.fit)))
        found, digest = known.take(kind, prompt.SerializePartialToString(), ends_of(prompt))
    if found is not None:
        return found, digest
    planner = None
    if (fit := ask.fit) is not None:
        memory = memory_max(fit.policy, fit.budget_tokens)
        planner = Planner(fit.policy, fit.shape, fit.budget_tokens, memory)
    return Conversation(rules, planner), digest


def _plan_of(fit: Fit | None) -> tuple[Policy | None, int, Shape | None]:
    return (None, 0, None) if fit is None else (fit.policy, fit.budget_tokens, fit.shape)


@lru_cache(maxsize=1024)
def _way(
    rules: frozenset[Rule], policy: Policy | None, budget_tokens: int, shape: Shape | None
) -> bytes:
    """Names what a conversation's numbers depend on beside its messages."""
    names = ",".join(sorted(rule.value for rule in rules))
    return f"{names}|{policy}|{budget_tokens}|{shape}".encode()


def _stable(options: Options | None) -> frozenset[Rule]:
    """The rules that are applied message by message as the conversation grows."""
    if options is None or options.instructions or not options.rules <= _LIGHT:
        return frozenset()
    return options.rules & STABLE_RULES


def _decide(talk: Conversation, fit: Fit, idle: int) -> Plan:
    planner = talk.planner
    if planner is None:
        raise context_invalid("fit", "was not planned for")
    if fit.cut_from is not None:
        planner = _moved(talk, planner, fit)
    idle = idle if fit.idle_seconds is None else fit.idle_seconds
    first = talk.decide_now()
    plan = planner.decide(idle, fit.expected_rest_turns)
    if first:
        planner.called()
    return plan


def _moved(talk: Conversation, planner: Planner, fit: Fit) -> Planner:
    """The plan as the caller says it stands."""
    if not 0 <= (fit.cut_from or 0) < max(1, len(talk)):
        raise context_invalid("fit.cut_from_message", "is no place of a message")
    cut = sum(1 for start in talk.starts if start < (fit.cut_from or 0))
    if cut >= len(talk.starts) > 0:
        raise context_invalid("fit.cut_from_message", "leaves no exchange")
    if cut == planner.cut:
        return planner
    memory = memory_max(fit.policy, fit.budget_tokens)
    moved = Planner(fit.policy, fit.shape, fit.budget_tokens, memory, cut)
    moved.instruct(planner.system_tokens)
    for tokens in planner.exchanges:
        moved.add(tokens)
        moved.called()
    talk.planner = moved
    return moved


def _made(
    prompt: chat.Prompt, talk: Conversation, ask: Ask, plan: Plan | None, meter: Meter
) -> Prepared:
    """Puts together what is sent."""
    tools = tools_tally(prompt, meter) if prompt.tools or prompt.response_format_json else Tally()
    overhead = _overhead(talk, meter)
    given = _segments(talk.as_given, tools, overhead)
    begin = talk.starts[plan.cut] if plan is not None and plan.cut else 0
    draft = _Draft(prompt.messages, talk, begin, meter)
    if ask.compress is not None:
        draft.compress(ask.compress)
    memory, memory_tally = "", Tally()
    if begin and plan is not None and ask.fit is not None and ask.fit.policy in MEMORY_POLICIES:
        memory = draft.memory(ask.fit.policy, plan.memory_tokens_max)
    if memory:  # then something was cut, and the sums are no longer the conversation's own
        memory_tally = message_tally(chat.Message(role=chat.ROLE_SYSTEM, content=memory), meter)
        draft.sums.history.include(memory_tally)
    return Prepared(
        sent=_segments(draft.sums, tools, overhead),
        given=given,
        contents=draft.contents,
        removals=draft.removals,
        cut_from=begin,
        memory=memory,
        memory_tokens=memory_tally.tokens,
        plan=plan,
    )


class _Draft:
    """What is sent, as it takes shape: messages from `begin` on, and all instructions."""

    def __init__(
        self, messages: Sequence[chat.Message], talk: Conversation, begin: int, meter: Meter
    ) -> None:
        short = [each for each in talk.shorter if each.place >= begin]
        self.contents = {each.place: each.change(messages[each.place].content) for each in short}
        self.removals = [each.removal for each in short]
        self.sums = talk.as_sent
        self._messages, self._talk, self._begin, self._meter = messages, talk, begin, meter
        if begin:
            self.sums = Sums()
            for place in self._places():
                self.sums.add(messages[place].role, talk.tallies[place])

    def _places(self) -> list[int]:
        front = [place for place in self._talk.instructions if place < self._begin]
        return [*front, *range(self._begin, len(self._messages))]

    def memory(self, policy: Policy, tokens_max: int) -> str:
        """What stands for the messages before; decided by them and the exchange after."""
        talk, begin, messages = self._talk, self._begin, self._messages
        after = next((start for start in talk.starts if start > begin), len(talk))
        inside = set(talk.instructions)
        front = [messages[place] for place in talk.instructions if place < begin]
        first = [messages[place] for place in range(begin, after) if place not in inside]
        gone = [messages[place] for place in range(begin) if place not in inside]
        return words_of(policy, gone, [*front, *first], tokens_max, self._meter)

    def compress(self, options: Options) -> None:
        """The rules that look at more than one message, on what is kept."""
        if options.instructions or not options.rules <= _LIGHT:
            self._compress_all(options)
        elif Rule.DUPLICATES in options.rules:
            if self._talk.paragraphs_repeat(self._begin):
                self._compress_all(Options(rules=_REPEATED))
            else:
                self._point()

    def _compress_all(self, options: Options) -> None:
        places = self._places()
        kept = [self._with(place, self.contents.get(place)) for place in places]
        done = compress(kept, options, self._meter)
        if not done.removals:
            return
        self.sums = Sums()
        for place, before, after in zip(places, kept, done.messages, strict=True):
            if before.content != after.content:
                self.contents[place] = after.content
            self.sums.add(after.role, message_tally(after, self._meter))
        self.removals += [replace(each, place=places[each.place]) for each in done.removals]

    def _point(self) -> None:
        """Results that are equal as a whole to one before, without looking at any other."""
        talk, messages = self._talk, self._messages
        for place, first in talk.equal_results(self._begin):
            text = self.contents.get(place, messages[place].content)
            if text != self.contents.get(first, messages[first].content):
                continue
            pointer = pointer_to(text)
            before = talk.tallies[place]
            after = message_tally(self._with(place, pointer), self._meter)
            if after.tokens >= before.tokens:
                continue
            if self.sums is talk.as_sent:
                self.sums = self.sums.copy()
            new = place >= talk.last_question
            part = self.sums.new if new else self.sums.history
            part.exclude(before)
            part.include(after)
            self.contents[place] = pointer
            saved = before.tokens - after.tokens
            removal = Removal(Rule.DUPLICATES, place, saved, len(text) - len(pointer))
            self.removals.append(removal)

    def _with(self, place: int, content: str | None) -> chat.Message:
        message = self._messages[place]
        if content is None:
            return message
        changed = chat.Message()
        changed.CopyFrom(message)
        changed.content = content
        return changed


def _segments(sums: Sums, tools: Tally, overhead: Tally) -> Segments:
    # Copies: the conversation goes on while this answer is on its way.
    return Segments(sums.system.copy(), tools, sums.history.copy(), sums.new.copy(), overhead)


def _overhead(talk: Conversation, meter: Meter) -> Tally:
    rules, tally = meter.model.chat, Tally()
    tokens = rules.reply_tokens + rules.preamble_tokens
    if not talk.instructions:
        tokens += rules.preamble_without_system_tokens
    tally.add(tokens, rules.bound_permille)
    return tally
