"""Recorded conversations replayed through context policies: what each would have cost.

Every answer in a recording is one call, which sends what the policy chose of all before it. The
provider is taken to read from its cache the longest run of messages that the call before began
with, when that is long enough to be cached, and to write the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from spendgate.chat.v1 import chat_pb2 as chat

from catalog.price import ModelPrice, cost_nanos
from catalog.usage import Usage
from services.tokenizer.context import exchanges, memory
from services.tokenizer.context.fit import memory_max
from services.tokenizer.context.plan import Plan, Planner, Policy, Shape, Why
from services.tokenizer.messages import message_tally
from services.tokenizer.meter import Meter, Tally

_INSTRUCTIONS = frozenset({chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER})


@dataclass(slots=True)
class Sums:
    """What a replay adds up to. Facts: those in an answer that had been said before."""

    nanos: int = 0
    input_tokens: int = 0
    calls: int = 0
    facts_used: int = 0
    facts_kept: int = 0
    cuts: list[Plan] = field(default_factory=list)

    def add(self, other: "Sums") -> None:
        """Adds another replay."""
        self.nanos += other.nanos
        self.input_tokens += other.input_tokens
        self.calls += other.calls
        self.facts_used += other.facts_used
        self.facts_kept += other.facts_kept
        self.cuts += other.cuts


class Recording:
    """A conversation, counted for one model."""

    def __init__(self, messages: Sequence[chat.Message], meter: Meter) -> None:
        self.messages = list(messages)
        self.meter = meter
        self.tokens = [message_tally(message, meter).tokens for message in messages]
        self.before = [0, *accumulate(self.tokens)]
        _, self.exchanges = exchanges.split(self.messages, self.tokens)
        self.starts = {part.start for part in self.exchanges}
        self.entities = [memory.entities(message) for message in messages]
        self.calls = [
            place
            for place, message in enumerate(messages)
            if message.role == chat.ROLE_ASSISTANT and place > 0
        ]

    def words(self, text: str) -> int:
        """Tokens of a text."""
        tally = Tally()
        self.meter.text(text, tally)
        return tally.tokens


def replay(
    recording: Recording, policy: Policy, price: ModelPrice, shape: Shape, budget_tokens: int
) -> Sums:
    """Runs one conversation through one policy."""
    run = _Run(recording, policy, price, shape, budget_tokens)
    for place in recording.calls:
        run.call(place)
    return run.sums


class _Run:
    def __init__(
        self, recording: Recording, policy: Policy, price: ModelPrice, shape: Shape, budget: int
    ) -> None:
        self.sums = Sums()
        self._recording = recording
        self._policy = policy
        self._price = price
        self._shape = shape
        self._planner = Planner(policy, shape, budget, memory_max(policy, budget))
        self._memory_max = 0
        self._told = 0  # messages the planner has heard of
        self._cut = 0
        self._words, self._words_tokens = "", 0
        self._front_tokens, self._begin = 0, 0
        self._cached = 0  # tokens of the last call, when all of it is this one's beginning
        self._last_said: dict[str, int] = {}
        self._noted = 0

    def call(self, place: int) -> None:
        """One answer, at `place`."""
        before = self._cut
        self._decide(place)
        if self._cut != before:
            self._remember()
            self._cached = self._front_tokens  # the rest stands elsewhere now
        if not self._begin:
            total = self._recording.before[place]
        else:
            since = self._recording.before[place] - self._recording.before[self._begin]
            total = self._front_tokens + self._words_tokens + since
        cached = self._cached if self._cached >= self._shape.prefix_tokens_min else 0
        cached = min(cached, total) if self._caches() else 0
        writes = total >= self._shape.prefix_tokens_min and self._caches()
        fresh = total - cached
        usage = Usage(
            input_tokens=0 if writes else fresh,
            cached_input_tokens=cached,
            cache_write_tokens=fresh if writes else 0,
            output_tokens=self._recording.tokens[place],
        )
        self.sums.nanos += cost_nanos(self._price, usage)
        self.sums.input_tokens += total
        self.sums.calls += 1
        self._cached = total
        self._look_for_facts(place)

    def _caches(self) -> bool:
        rates = self._shape.rates
        return rates.cached_input_picos < rates.input_picos

    def _decide(self, place: int) -> None:
        recording, planner = self._recording, self._planner
        for each in range(self._told, place):
            tokens = recording.tokens[each]
            if recording.messages[each].role in _INSTRUCTIONS:
                planner.instruct(tokens)
            elif each in recording.starts:
                planner.add(tokens)
            else:
                planner.grow(tokens)
        self._told = place
        decided = planner.decide()
        planner.called()
        if decided.why is not Why.KEPT:
            self.sums.cuts.append(decided)
        self._cut, self._memory_max = decided.cut, decided.memory_tokens_max

    def _remember(self) -> None:
        recording = self._recording
        self._begin = recording.exchanges[self._cut].start
        front = [each for each in recording.messages[: self._begin] if each.role in _INSTRUCTIONS]
        self._front_tokens = sum(message_tally(each, recording.meter).tokens for each in front)
        if not self._memory_max:
            return
        gone = [
            each for each in recording.messages[: self._begin] if each.role not in _INSTRUCTIONS
        ]
        if self._policy is Policy.SUMMARY:
            self._words = memory.summary(gone, self._memory_max, "", recording.words)
        else:
            first = [recording.messages[each] for each in recording.exchanges[self._cut].places]
            self._words = memory.facts(gone, [*front, *first], self._memory_max, recording.words)
        self._words_tokens = recording.words(self._words)

    def _look_for_facts(self, place: int) -> None:
        """Which exact strings of the answer the model could still see."""
        recording = self._recording
        for said in range(self._noted, place):
            # Instructions are always there; the rest where it was said last.
            always = recording.messages[said].role in _INSTRUCTIONS
            for entity in recording.entities[said]:
                old = self._last_said.get(entity, -1)
                self._last_said[entity] = len(recording.messages) if always else max(said, old)
        self._noted = place
        for entity in recording.entities[place]:
            last = self._last_said.get(entity)
            if last is not None:
                self.sums.facts_used += 1
                self.sums.facts_kept += last >= self._begin or entity in self._words
