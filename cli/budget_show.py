"""Budgets as people look at them: a table with bars, and one budget value by value."""

from typing import Any

from cli.show import as_dict, console, print_json, print_table

BAR_CELLS = 20
_USED, _HELD, _FREE = "█", "▒", "░"


def show(budgets: list[Any], *, as_json: bool, single: bool = False) -> None:
    """Print budgets with what is spent, held and left."""
    if as_json:
        told = [as_dict(budget) for budget in budgets]
        print_json(told[0] if single else {"budgets": told})
        return
    if not budgets:
        print("There are no budgets. Make one with: spendgate budget create ID --limit USD")
        return
    headers = ["budget", "applies to", "window", "mode", "limit", "spent", "held", "left", "used"]
    print_table([*headers, "starts anew"], [_line(budget) for budget in budgets], right="    rrrr")
    broken = [budget for budget in budgets if budget.broken_count]
    for budget in broken:
        console().print(
            f"{budget.budget_id}: {budget.broken_count} requests went on although they would have"
            " broken it"
        )
    if single:
        _show_values(budgets[0])


def bar(used: int, held: int, limit: int) -> str:
    """What is used, held and free of a limit, as a bar of BAR_CELLS and a share.

    What is used or held at all shows at least one cell; a limit of 0 is full.
    """
    whole = max(limit, used + held, 1)
    full = BAR_CELLS if limit == 0 else _cells(used, whole)
    waiting = 0 if limit == 0 else min(BAR_CELLS - full, _cells(held, whole))
    free = BAR_CELLS - full - waiting
    share = "over" if limit == 0 else f"{(used + held) * 100 // limit} %"
    return f"{_USED * full}{_HELD * waiting}{_FREE * free} {share}"


def scope_text(scope: Any) -> str:
    """What a budget applies to, in words."""
    parts = [
        f"{name.replace('_', ' ')} {getattr(scope, name)}"
        for name in ("project", "user", "key_id", "feature", "model", "provider")
        if getattr(scope, name)
    ]
    parts += [f"{name}={value}" for name, value in sorted(scope.tags.items())]
    parts += [f"each {name.replace('_', ' ')}" for name in scope.each]
    return ", ".join(parts) or "everything"


def amount_text(amount: int, unit: int) -> str:
    """An amount in a budget's unit."""
    from spendgate.ledger.v1 import budget_pb2

    from cli.demo_money import usd_exact

    if unit == budget_pb2.BUDGET_UNIT_TOKENS:
        return f"{amount:,} tokens"
    if unit == budget_pb2.BUDGET_UNIT_REQUESTS:
        return f"{amount:,} requests"
    return usd_exact(amount)


def _line(budget: Any) -> list[str]:
    used, held, limit = budget.settled_amount, budget.reserved_amount, budget.limit_amount
    # One limit for each value: they do not share, so there is nothing left of a whole.
    shared = not budget.scope.each
    return [
        budget.budget_id,
        scope_text(budget.scope),
        _window_text(budget),
        _word("BudgetMode", budget.mode, "BUDGET_MODE_"),
        amount_text(limit, budget.unit) + ("" if shared else " each"),
        amount_text(used, budget.unit),
        amount_text(held, budget.unit),
        amount_text(limit - used - held, budget.unit) if shared else "",
        bar(used, held, limit) if shared else f"see: budget show {budget.budget_id}",
        _anew_text(budget),
    ]


def _show_values(budget: Any) -> None:
    if not budget.values:
        return
    rows = [
        [
            *(value.each[name] or "-" for name in budget.scope.each),
            amount_text(value.settled_amount, budget.unit),
            amount_text(value.reserved_amount, budget.unit),
            bar(value.settled_amount, value.reserved_amount, budget.limit_amount),
        ]
        for value in budget.values
    ]
    width = len(budget.scope.each)
    print()
    print_table([*budget.scope.each, "spent", "held", "used"], rows, right=" " * width + "rr")


def _window_text(budget: Any) -> str:
    from spendgate.ledger.v1 import budget_pb2

    word = _word("BudgetWindow", budget.window, "BUDGET_WINDOW_")
    if budget.window == budget_pb2.BUDGET_WINDOW_ROLLING:
        return f"last {budget.rolling.ToTimedelta()}"
    return f"{word}, {budget.time_zone}" if budget.time_zone else word


def _anew_text(budget: Any) -> str:
    from spendgate.ledger.v1 import budget_pb2

    if budget.window == budget_pb2.BUDGET_WINDOW_ROLLING:
        return "always"
    if not budget.HasField("window_end_time"):
        return "never"
    return f"{budget.window_end_time.ToDatetime():%Y-%m-%d %H:%M} UTC"


def _word(enum: str, number: int, prefix: str) -> str:
    from spendgate.ledger.v1 import budget_pb2

    name: str = getattr(budget_pb2, enum).Name(number)
    return name.removeprefix(prefix).lower()


def _cells(part: int, whole: int) -> int:
    if part <= 0:
        return 0
    return max(1, min(BAR_CELLS, part * BAR_CELLS // whole))
