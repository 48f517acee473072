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
from dataclasses import dataclass
from enum import Enum
from typing import Final

from catalog.price import Rates

# The last exchanges that are never left out.
EXCHANGES_KEPT_MIN: Final = 2
# A cut is expected to save so many times its price: how long a conversation lasts is a guess.
SAFETY: Final = 4
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


class CannotFit(Exception):
    """Instructions and the last exchanges alone are over the window."""

    def __init__(self, tokens: int, window_tokens: int) -> None:
        super().__init__(f"the least that must be kept is {tokens} tokens, over {window_tokens}")
        self.tokens = tokens
        self.window_tokens = window_tokens


def plan(policy: Policy, talk: Talk, shape: Shape, budget_tokens: int) -> Plan:
    """Decides for this turn. Raises: CannotFit."""
    total = _total(talk, talk.cut)
    tokens_kept = budget_tokens // 2
    if policy is Policy.AUTO and shape.rates.cached_input_picos < shape.rates.input_picos:
        # What is left must be long enough to be cached again, whatever the exchanges' size.
        tokens_kept = max(tokens_kept, 2 * shape.prefix_tokens_min)
    target = _cut_to(talk, tokens_kept)
    figures = _figures(talk, shape, target)
    if shape.window_tokens and total > shape.window_tokens:
        smaller = max(target, _cut_to(talk, shape.window_tokens))
        least = _total(talk, smaller)
        if least > shape.window_tokens:
            raise CannotFit(least, shape.window_tokens)
        return _cut(figures, smaller, Why.WINDOW)
    why = Why.KEPT
    if policy is Policy.APPEND_ONLY or target <= talk.cut:
        pass
    elif policy is Policy.AUTO:
        why = _why_now(talk, shape, figures, tokens_kept)
    elif total > budget_tokens:
        why = Why.BUDGET
    return figures if why is Why.KEPT else _cut(figures, target, why)


def _why_now(talk: Talk, shape: Shape, figures: Plan, tokens_kept: int) -> Why:
    """What makes a cut pay in this turn; KEPT when nothing does."""
    if shape.cliff_tokens_over and _total(talk, talk.cut) > shape.cliff_tokens_over:
        return Why.CLIFF
    if _is_cold(talk, shape):
        return Why.COLD_CACHE
    expected = figures.expected_rest_turns * figures.saved_picos_a_turn
    pays = expected >= SAFETY * figures.rewrite_picos
    if pays and _rent_picos(talk, shape, tokens_kept) >= figures.rewrite_picos:
        return Why.BREAK_EVEN
    return Why.KEPT


def read_picos(shape: Shape, total_tokens: int) -> int:
    """Price of a token read again; the full one where the provider caches nothing so short."""
    if total_tokens < shape.prefix_tokens_min:
        return shape.rates.input_picos
    return shape.rates.cached_input_picos


def write_picos(shape: Shape) -> int:
    """Price of a token read for the first time."""
    return max(shape.rates.input_picos, shape.rates.cache_write_picos)


def _total(talk: Talk, cut: int) -> int:
    memory = talk.memory_tokens if cut else 0
    return talk.system_tokens + memory + sum(talk.exchanges[cut:])


def _cut_to(talk: Talk, tokens_max: int) -> int:
    """The first exchange to keep so that all fits `tokens_max`, the last few kept anyway."""
    last = max(talk.cut, len(talk.exchanges) - EXCHANGES_KEPT_MIN)
    cut, total = talk.cut, _total(talk, talk.cut)
    while cut < last and total > tokens_max:
        total -= talk.exchanges[cut]
        total += 0 if cut else talk.memory_tokens
        cut += 1
    return cut


def _figures(talk: Talk, shape: Shape, target: int) -> Plan:
    """The arithmetic of cutting to `target` now, as a plan to keep all."""
    total, after = _total(talk, talk.cut), _total(talk, target)
    removed = max(0, total - after)
    read = read_picos(shape, total)
    # Instructions stay cached where they are long enough by themselves; the newest exchange is
    # written for the first time, cut or not.
    stays = talk.system_tokens if talk.system_tokens >= shape.prefix_tokens_min else 0
    again = max(0, after - stays - talk.exchanges[-1]) if talk.exchanges else 0
    rewrite = again * max(0, write_picos(shape) - read)
    saved = removed * read
    rest = talk.expected_rest_turns
    return Plan(
        talk.cut,
        Why.KEPT,
        removed_tokens=removed,
        rewrite_picos=rewrite,
        saved_picos_a_turn=saved,
        break_even_turns=-(-rewrite // saved) if saved else 0,
        # Half as many as were: all that is known of a conversation is how long it has lasted.
        expected_rest_turns=len(talk.exchanges) // 2 if rest is None else rest,
    )


def _cut(figures: Plan, target: int, why: Why) -> Plan:
    return Plan(
        target,
        why,
        figures.removed_tokens,
        figures.rewrite_picos,
        figures.saved_picos_a_turn,
        figures.break_even_turns,
        figures.expected_rest_turns,
    )


def _is_cold(talk: Talk, shape: Shape) -> bool:
    return bool(shape.lifetime_seconds) and talk.idle_seconds > shape.lifetime_seconds


def _rent_picos(talk: Talk, shape: Shape, tokens_kept: int) -> int:
    """What reading more than `tokens_kept` again has cost in the turns since the last cut."""
    rent = 0
    total = talk.system_tokens + (talk.memory_tokens if talk.cut else 0)
    for tokens in talk.exchanges[talk.cut :]:
        total += tokens
        rent += max(0, total - tokens_kept) * read_picos(shape, total)
    return rent
