"""What an attempt cost, what it saved, and the most a request can cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from catalog.price import ModelPrice, cost_nanos, hold_nanos
from catalog.prices import PriceBook, UnknownModel, Unpriced
from catalog.tiers import BATCH
from catalog.usage import ImpossibleUsage, Usage
from services.ledger.rules.kinds import EXTRA_CAUSE
from services.ledger.rules.refusals import ModelUnpriced, UsageImpossible
from services.ledger.rules.values import (
    NO_TOKENS,
    Attempt,
    EntryKind,
    Saving,
    SavingCause,
    Tokens,
)
from services.ledger.rules.windows import to_datetime

# The most one attempt is believed to have cost: 1.15 billion USD. Sums over a chain stay far
# inside an int64.
BILL_NANOS_MAX = 2**60
# Price books that are kept, the one that holds among them.
BOOKS_MAX = 4


class Prices(Protocol):
    """Where prices come from."""

    def price(self, model: str, at_us: int) -> ModelPrice:
        """The price of a configured model at a moment. Must raise ModelUnpriced, never guess."""
        ...

    def batch_price(self, model: str, at_us: int) -> ModelPrice:
        """The same at its provider's own batch endpoint."""
        ...

    def newest(self) -> "Prices":
        """The same by all that is known now, for rows whose price was learned later."""
        ...


class CatalogPrices:
    """Prices out of the fleet's price book, and of the books that held before it.

    A request is charged by the book that held when its money was set aside; a model that is gone
    from the fleet file by the last book that had it, for its calls may still be under way.
    """

    def __init__(self, book: PriceBook) -> None:
        # (from when, in microseconds since 1970; the book), newest last.
        self._books: list[tuple[int, PriceBook]] = [(0, book)]

    def take_over(self, book: PriceBook, at_us: int) -> None:
        """`book` holds from `at_us` on."""
        self._books = [*self._books[-(BOOKS_MAX - 1) :], (at_us, book)]

    def price(self, model: str, at_us: int) -> ModelPrice:
        """The price at a moment. Raises ModelUnpriced, for a model nobody configured too."""
        return self._first(model, at_us, lambda book, at: book.price(model, at))

    def batch_price(self, model: str, at_us: int) -> ModelPrice:
        """The batch tier's price at a moment. Raises ModelUnpriced."""
        return self._first(model, at_us, lambda book, at: book.price_in(BATCH, model, at))

    def newest(self) -> Prices:
        """Prices of the newest book, whatever held at the moment asked for."""
        return CatalogPrices(self._books[-1][1])

    def _first(
        self, model: str, at_us: int, price: Callable[[PriceBook, datetime], ModelPrice]
    ) -> ModelPrice:
        """By the first book that has the model: the one that held, those after it, those before."""
        held = [book for from_us, book in self._books if from_us <= at_us] or [self._books[0][1]]
        later = [book for from_us, book in self._books if from_us > at_us]
        for book in [held[-1], *later, *reversed(held[:-1])]:
            try:
                return price(book, to_datetime(at_us))
            except UnknownModel:
                continue
            except Unpriced:
                break
        raise ModelUnpriced(model)


@dataclass(frozen=True, slots=True)
class Bill:
    """What an attempt is booked with."""

    cost_nanos: int
    savings: tuple[Saving, ...]
    counterfactual_nanos: int
    price_version: str


def bills(
    prices: Prices, attempts: Sequence[Attempt], at_us: int, field: str = "attempts[{}]"
) -> list[Bill]:
    """Prices attempts and their chains of counterfactuals at the prices of `at_us`.

    `field` is the path of an attempt in its request, to name it in a refusal. Each step of a
    chain saves its own cost less the cost of the step before; the first less what was charged.
    So charged + saved = the last step's cost, whatever the chain holds.
    Raises: UsageImpossible when any number cannot be; else ModelUnpriced.
    """
    paths = [field.format(place) for place in range(len(attempts))]
    usages = [_usages(*each) for each in zip(attempts, paths, strict=True)]
    for attempt, path in zip(attempts, paths, strict=True):
        if wrong := told_wrong(attempt):
            raise UsageImpossible(f"{path}.{wrong}")
    return [
        _bill(prices, attempt, used, at_us, path)
        for attempt, used, path in zip(attempts, usages, paths, strict=True)
    ]


def worst_case(prices: Prices, model: str, tokens: Tokens, at_us: int) -> int:
    """The most that calling a model can cost, rounded up. Raises ModelUnpriced."""
    return hold_nanos(prices.price(model, at_us), Usage(*tokens))


def told_wrong(attempt: Attempt) -> str | None:
    """The field of a total that the buckets do not add up to, if there is one."""
    usage = attempt.usage
    written = (
        usage.output_tokens
        + usage.reasoning_tokens
        + usage.audio_output_tokens
        + usage.image_output_tokens
    )
    if attempt.told_input_tokens and attempt.told_input_tokens != sum(usage) - written:
        return "told_input_tokens"
    if attempt.told_output_tokens and attempt.told_output_tokens != written:
        return "told_output_tokens"
    return None


def impossible_bucket(tokens: Tokens) -> str | None:
    """The name of a bucket that holds a number no call can have used, if there is one."""
    try:
        Usage(*tokens)
    except ImpossibleUsage as error:
        return error.bucket
    return None


def _usages(attempt: Attempt, path: str) -> list[Usage]:
    """The attempt's usage, then that of each step of its chain."""
    steps = [(f".counterfactuals[{n}]", s.usage) for n, s in enumerate(attempt.counterfactuals)]
    return [
        _checked(tokens, f"{path}{step}.usage") for step, tokens in [("", attempt.usage), *steps]
    ]


def _checked(tokens: Tokens, path: str) -> Usage:
    try:
        return Usage(*tokens)
    except ImpossibleUsage as error:
        raise UsageImpossible(f"{path}.{error.bucket}") from None


def _bill(prices: Prices, attempt: Attempt, usages: Sequence[Usage], at_us: int, path: str) -> Bill:
    cost, version = _charge(prices, attempt, usages[0], at_us)
    _check_range(cost, path)
    saved: dict[SavingCause, int] = {}
    before = cost
    extra = EXTRA_CAUSE.get(attempt.kind)
    if extra is not None and not attempt.counterfactuals and cost:
        # Without Spendgate it would not have been done at all.
        return Bill(cost, (Saving(extra, -cost),), 0, version)
    for step, usage in zip(attempt.counterfactuals, usages[1:], strict=True):
        step_cost = cost_nanos(prices.price(step.model, at_us), usage)
        _check_range(step_cost, path)
        saved[step.cause] = saved.get(step.cause, 0) + step_cost - before
        before = step_cost
    savings = tuple(Saving(cause, nanos) for cause, nanos in saved.items())
    return Bill(cost, savings, before, version)


def _charge(prices: Prices, attempt: Attempt, usage: Usage, at_us: int) -> tuple[int, str]:
    priced = prices.batch_price if attempt.kind is EntryKind.BATCH_ITEM else prices.price
    try:
        price = priced(attempt.model_used, at_us)
    except ModelUnpriced:
        if attempt.usage == NO_TOKENS:
            # Nothing was used, so nothing is owed, whatever the price: that is known, not guessed.
            return 0, ""
        raise
    return cost_nanos(price, usage), price.version


def _check_range(nanos: int, path: str) -> None:
    if nanos > BILL_NANOS_MAX:
        raise UsageImpossible(f"{path}.usage")
