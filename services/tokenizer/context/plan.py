"""When to leave the beginning of a conversation out. Whole numbers, no IO.

A cut of D tokens from a context of C, of which the first S stay as they are, has C - D - S
tokens written to the provider's cache again and saves D reads in each later turn:

    break-even turns = (C - D - S)(w - r) / (D r)

with r the price of a cached read and w that of a cache write (or of plain input when dearer).
A single cut pays when more turns than that are to come; SAFETY times as many must be expected.
But the conversation grows again and
will be cut again, so `auto` waits as one who rents skis waits before buying them: until the
reads that a cut would have spared have cost what the cut costs. With even growth that is the
cheapest spacing of cuts; wherever the conversation ends, it has cost at most the price of one
re-write more than never cutting.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from catalog.price import Rates

# The last exchanges that are never left out.
EXCHANGES_KEPT_MIN: Final = 2
# A cut is expected to save so many times its price: how long a conversation lasts is a guess.
SAFETY: Final = 4
# Facts get at least this part of what may stay.
MEMORY_PART_MIN: Final = 50
BUDGET_TOKENS_DEFAULT: Final = 32_000


class Policy(Enum):
    """How to decide."""

    AUTO = "auto"
    APPEND_ONLY = "append_only"
    SLIDING_WINDOW = "sliding_window"
    WINDOW_WITH_FACTS = "window_with_facts"
    SUMMARY = "summary"


class Why(Enum):
    """What decided."""

    KEPT = "kept"
    BREAK_EVEN = "break_even"
    COLD_CACHE = "cold_cache"
    CLIFF = "cliff"
    WINDOW = "window"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model costs and takes. 0 means: there is none."""

    rates: Rates
    prefix_tokens_min: int = 0
    lifetime_seconds: int = 0
    window_tokens: int = 0
    cliff_tokens_over: int = 0


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation in numbers. `cut` is the first exchange kept so far; `idle_seconds` the
    time since the last call."""

    system_tokens: int
    exchanges: Sequence[int]
    cut: int = 0
    idle_seconds: int = 0
    expected_rest_turns: int | None = None
    memory_tokens: int = 0
    # Answers in each exchange so far. Default: one in each but the last.
    calls: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision: keep exchanges from `cut` on. Prices in pico-USD."""

    cut: int
    why: Why
    removed_tokens: int = 0
    rewrite_picos: int = 0
    saved_picos_a_turn: int = 0
    break_even_turns: int = 0
    expected_rest_turns: int = 0
    # Most tokens of what stands for the part that is cut.
    memory_tokens_max: int = 0


class CannotFit(Exception):
    """Instructions and the last exchanges alone are over the window."""

    def __init__(self, tokens: int, window_tokens: int) -> None:
        super().__init__(f"the least that must be kept is {tokens} tokens, over {window_tokens}")
        self.tokens = tokens
        self.window_tokens = window_tokens


def plan(policy: Policy, talk: Talk, shape: Shape, budget_tokens: int) -> Plan:
    """Decides for this turn. Raises: CannotFit."""
    planner = Planner(policy, shape, budget_tokens, talk.memory_tokens, talk.cut)
    planner.instruct(talk.system_tokens)
    calls = talk.calls or [1] * (len(talk.exchanges) - 1) + [0] * bool(talk.exchanges)
    for place, (tokens, times) in enumerate(zip(talk.exchanges, calls, strict=True), 1):
        # Of the last exchange what came after its last call was never sent: about a share of it.
        fresh = tokens // (times + 1) if place == len(calls) else 0
        planner.add(tokens - fresh)
        if times:
            planner.called(times)
        planner.grow(fresh)
    return planner.decide(talk.idle_seconds, talk.expected_rest_turns)


class Planner:
    """Decides call after call of one conversation; a call costs about the same, however long it
    has become. Tell it what is said, ask it before each call, tell it of each call."""

    __slots__ = (
        "_after",
        "_calls",
        "_fresh",
        "_kept",
        "_memory",
        "_policy",
        "_rent",
        "_tail",
        "_target",
        "budget_tokens",
        "cut",
        "exchanges",
        "shape",
        "system_tokens",
    )

    def __init__(
        self,
        policy: Policy,
        shape: Shape,
        budget_tokens: int,
        memory_tokens: int = 0,
        cut: int = 0,
    ) -> None:
        """`cut` is the first exchange kept so far; memory is what may stand for those before."""
        self.shape = shape
        self.budget_tokens = budget_tokens
        self.cut = cut
        self.exchanges: list[int] = []
        self.system_tokens = 0
        self._policy = policy
        self._memory = memory_tokens
        self._kept = budget_tokens // 2
        if policy is Policy.AUTO and shape.rates.cached_input_picos < shape.rates.input_picos:
            # What is left must be long enough to be cached again, whatever the exchanges' size.
            self._kept = max(self._kept, 2 * shape.prefix_tokens_min)
        self._calls = 0
        self._rent = 0  # what reading more than is kept at a cut has cost since the last one
        self._fresh = 0  # tokens that no call has sent yet
        self._tail = 0  # tokens of exchanges[cut:]
        self._target, self._after = cut, 0  # where a cut would go, tokens from there on

    def instruct(self, tokens: int) -> None:
        """More instructions."""
        self.system_tokens += tokens
        self._fresh += tokens

    def add(self, tokens: int = 0) -> None:
        """A new exchange."""
        self.exchanges.append(0)
        self.grow(tokens)

    def grow(self, tokens: int) -> None:
        """More of the last exchange."""
        self.exchanges[-1] += tokens
        self._fresh += tokens
        last = len(self.exchanges) - 1
        if last >= self.cut:
            self._tail += tokens
        if last >= self._target:
            self._after += tokens

    def called(self, times: int = 1) -> None:
        """So many calls were made of what is kept now."""
        self._calls += times
        self._fresh = 0
        if len(self.exchanges) > self.cut:
            self._rent += times * self._rent_at(self._front(self.cut) + self._tail)

    def decide(self, idle_seconds: int = 0, expected_rest_turns: int | None = None) -> Plan:
        """What to keep of all this when it is sent now. Raises: CannotFit."""
        total = self._front(self.cut) + self._tail
        last = self._last()
        while self._target < last and self._front(self._target) + self._after > self._kept:
            self._after -= self.exchanges[self._target]
            self._target += 1
        figures = self._figures(total, expected_rest_turns)
        window = self.shape.window_tokens
        if window and total > window:
            return self._cut_for_window(figures, window)
        why = Why.KEPT
        if self._policy is Policy.APPEND_ONLY or self._target <= self.cut:
            pass
        elif self._policy is Policy.AUTO:
            why = self._why_now(total, figures, idle_seconds)
        elif total > self.budget_tokens:
            why = Why.BUDGET
        return figures if why is Why.KEPT else self._cut_to(self._target, figures, why)

    def memory_for(self, cut: int) -> int:
        """Most tokens that may stand for what is cut before exchange `cut`.

        Under AUTO less where instructions and two exchanges as long as the first one kept fill
        what may stay: facts are read in every call, they must not make the cut a bad bargain.
        """
        if not cut:
            return 0
        if self._policy is not Policy.AUTO or cut >= len(self.exchanges):
            return self._memory
        room = self._kept - self.system_tokens - EXCHANGES_KEPT_MIN * self.exchanges[cut]
        return min(self._memory, max(self._kept // MEMORY_PART_MIN, room))

    def _front(self, cut: int) -> int:
        return self.system_tokens + self.memory_for(cut)

    def _last(self) -> int:
        return max(self.cut, len(self.exchanges) - EXCHANGES_KEPT_MIN)

    def _cut_for_window(self, figures: Plan, window: int) -> Plan:
        cut, after, last = self._target, self._after, self._last()
        while cut < last and self._front(cut) + after > window:
            after -= self.exchanges[cut]
            cut += 1
        least = self._front(cut) + after
        if least > window:
            raise CannotFit(least, window)
        return self._cut_to(cut, figures, Why.WINDOW)

    def _cut_to(self, cut: int, figures: Plan, why: Why) -> Plan:
        self.cut = self._target = cut
        self._tail = self._after = sum(self.exchanges[cut:])
        self._rent = 0
        return replace(figures, cut=cut, why=why, memory_tokens_max=self.memory_for(cut))

    def _why_now(self, total: int, figures: Plan, idle_seconds: int) -> Why:
        """What makes a cut pay in this turn; KEPT when nothing does."""
        shape = self.shape
        if shape.cliff_tokens_over and total > shape.cliff_tokens_over:
            return Why.CLIFF
        if shape.lifetime_seconds and idle_seconds > shape.lifetime_seconds:
            return Why.COLD_CACHE
        expected = figures.expected_rest_turns * figures.saved_picos_a_turn
        pays = expected >= SAFETY * figures.rewrite_picos
        rent = self._rent + self._rent_at(total)
        return Why.BREAK_EVEN if pays and rent >= figures.rewrite_picos else Why.KEPT

    def _rent_at(self, total: int) -> int:
        return max(0, total - self._kept) * read_picos(self.shape, total)

    def _figures(self, total: int, expected_rest_turns: int | None) -> Plan:
        """The arithmetic of cutting to the target now, as a plan to keep all."""
        shape = self.shape
        after = self._front(self._target) + self._after
        removed = max(0, total - after)
        read = read_picos(shape, total)
        # Instructions stay cached where they are long enough by themselves; what was never sent
        # is written for the first time, cut or not.
        stays = self.system_tokens if self.system_tokens >= shape.prefix_tokens_min else 0
        again = max(0, after - stays - self._fresh)
        rewrite = again * max(0, write_picos(shape) - read)
        saved = removed * read
        rest = expected_rest_turns
        return Plan(
            self.cut,
            Why.KEPT,
            removed_tokens=removed,
            rewrite_picos=rewrite,
            saved_picos_a_turn=saved,
            break_even_turns=-(-rewrite // saved) if saved else 0,
            # Half as many as were: all that is known is how long the conversation has lasted.
            memory_tokens_max=self.memory_for(self.cut),
            expected_rest_turns=(self._calls + 1) // 2 if rest is None else rest,
        )


def read_picos(shape: Shape, total_tokens: int) -> int:
    """Price of a token read again; the full one where the provider caches nothing so short."""
    if total_tokens < shape.prefix_tokens_min:
        return shape.rates.input_picos
    return shape.rates.cached_input_picos


def write_picos(shape: Shape) -> int:
    """Price of a token read for the first time."""
    return max(shape.rates.input_picos, shape.rates.cache_write_picos)
