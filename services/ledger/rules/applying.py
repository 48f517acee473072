"""Which budgets count a call, and what of it: the index of a transaction's budgets."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.ledger.rules.scopes import Called, covers, scope_key, scope_keys, subject_of, takes
from services.ledger.rules.values import (
    Attempt,
    Attribution,
    BalanceKey,
    Budget,
    BudgetUnit,
    Entry,
    Line,
    Tokens,
)
from services.ledger.rules.windows import start_of


class Applying(NamedTuple):
    """A budget that counts a call, in which of its balances, and which models and providers of
    the call ("": all)."""

    budget: Budget
    key: BalanceKey
    model: str
    provider: str

    def line(self, owner_id: str, held_amount: int) -> Line:
        """That `owner_id` counts here."""
        return Line(owner_id, self.key, held_amount, self.budget.unit, self.model, self.provider)


class BudgetIndex:
    """The budgets that a transaction has read, found by what a call is."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        self.by_number = {budget.number: budget for budget in budgets}
        self._under: dict[str, list[Budget]] = {}
        for budget in self.by_number.values():
            if not budget.deleted:
                self._under.setdefault(scope_key(budget.scope), []).append(budget)
        self._found: dict[tuple[Attribution, tuple[Called, ...], int], Sequence[Applying]] = {}

    def applying(
        self, who: Attribution, called: Iterable[Called], at_us: int
    ) -> Sequence[Applying]:
        """The living budgets that count a call of `who` at one of `called`, in their windows of
        `at_us`, in the order in which everybody locks them."""
        called = tuple(dict.fromkeys(called))
        asked = (who, called, at_us)
        if asked not in self._found:
            self._found[asked] = self._search(who, called, at_us)
        return self._found[asked]

    def _search(
        self, who: Attribution, called: tuple[Called, ...], at_us: int
    ) -> Sequence[Applying]:
        found: dict[BalanceKey, Applying] = {}
        for key in scope_keys(who, called):
            for budget in self._under.get(key, ()):
                if not covers(budget.scope, who):
                    continue
                for model, provider in called:
                    if takes(budget.scope, model, provider):
                        row = _applying(budget, who, model, provider, at_us)
                        found.setdefault(row.key, row)
        return [found[key] for key in sorted(found)]


def measure(unit: BudgetUnit, entry: Entry) -> int:
    """What a row takes of a budget in this unit."""
    match unit:
        case BudgetUnit.NANO_USD:
            return entry.cost_nanos
        case BudgetUnit.TOKENS:
            return tokens_counted(entry.attempt.usage)
        case BudgetUnit.REQUESTS:
            return int(entry.counts_request)


def tokens_counted(usage: Tokens) -> int:
    """Tokens that budgets of tokens count: all but those the provider's cache served, as in the
    providers' own limits."""
    return sum(usage) - usage.cached_input_tokens


def amount_on(line: Line, entries: Iterable[Entry]) -> int:
    """What rows take of a line's budget."""
    return sum(
        measure(line.unit, entry)
        for entry in entries
        if line.model in ("", entry.attempt.model_used)
        and line.provider in ("", entry.attempt.provider)
    )


def called_by(attempts: Iterable[Attempt]) -> tuple[Called, ...]:
    """The models and providers that were called."""
    return tuple((attempt.model_used, attempt.provider) for attempt in attempts)


def _applying(budget: Budget, who: Attribution, model: str, provider: str, at_us: int) -> Applying:
    scope = budget.scope
    of_model = bool(scope.model) or "model" in scope.each
    of_provider = bool(scope.provider) or "provider" in scope.each
    key = BalanceKey(
        budget.number,
        start_of(budget, at_us),
        subject_of(scope, who, model, provider),
    )
    return Applying(budget, key, model if of_model else "", provider if of_provider else "")
