"""The most that a call can take of a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.ledger.rules.applying import tokens_counted
from services.ledger.rules.commands import WorstCase
from services.ledger.rules.pricing import Prices, worst_case
from services.ledger.rules.refusals import ModelUnpriced
from services.ledger.rules.values import NANOS_MAX, BudgetUnit


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst cases of a call with what each can cost: one of them happens, or all."""

    cases: tuple[WorstCase, ...]
    costs: tuple[int, ...]
    hold_all: bool

    @property
    def nanos(self) -> int:
        """The most that the call can cost."""
        return self._together(self.costs)

    def on(self, unit: BudgetUnit, model: str, provider: str) -> int:
        """The most of a budget in `unit`, where only calls of `model` and `provider` count
        ("": any)."""
        if unit is BudgetUnit.REQUESTS:
            return 1
        taken = [
            place
            for place, case in enumerate(self.cases)
            if model in ("", case.model) and provider in ("", case.provider)
        ]
        if unit is BudgetUnit.TOKENS:
            return self._together([tokens_counted(self.cases[place].tokens) for place in taken])
        return self._together([self.costs[place] for place in taken])

    def _together(self, amounts: Sequence[int]) -> int:
        if self.hold_all:
            return min(sum(amounts), NANOS_MAX)
        return max(amounts, default=0)


def worst_of(
    prices: Prices, cases: tuple[WorstCase, ...], at_us: int, *, hold_all: bool, priced: bool
) -> Worst:
    """The most by the prices of `at_us`. Raises: ModelUnpriced, if it must be `priced`; else a
    call of unknown price counts as 0."""
    try:
        costs = tuple(
            min(worst_case(prices, case.model, case.tokens, at_us), NANOS_MAX) for case in cases
        )
    except ModelUnpriced:
        if priced:
            raise
        costs = (0,) * len(cases)
    return Worst(cases, costs, hold_all)
