"""A reckoning for people and for programs."""

from collections.abc import Sequence
from typing import Any

from cli.calculator.payback import Payback, payback, roadmap
from cli.calculator.reckon import Case, Reckoning
from cli.calculator.steps import CASES, DO, STEPS, TITLES
from cli.calculator.workload import Workload

BAR_CHARS = 32


def as_document(work: Workload, found: Reckoning, notes: Sequence[str]) -> dict[str, Any]:
    """One JSON document: amounts in nano-USD a month."""
    expected = found.cases["expected"]
    return {
        "baselineNanos": found.baseline_nanos,
        "bucketNanos": dict(found.buckets),
        "cases": {case: _case(work, found.cases[case]) for case in CASES},
        "assumptions": {
            step: {
                **{f"{case}Bp": work.rates[step].of(case) for case in CASES},
                "why": work.rates[step].why,
            }
            for step in STEPS
        },
        "roadmap": [
            {
                "step": task.step,
                "do": DO[task.step],
                "hours": task.hours,
                "monthNanos": task.month_nanos,
                "soFarNanos": task.so_far_nanos,
            }
            for task in roadmap(work, expected)
        ],
        "notes": list(notes),
    }


def _case(work: Workload, case: Case) -> dict[str, Any]:
    back = payback(work, case)
    return {
        "savedNanos": case.saved_nanos,
        "leftNanos": case.left_nanos,
        "steps": [
            {
                "step": step.name,
                "savedNanos": step.saved_nanos,
                "leftNanos": step.left_nanos,
                "aloneNanos": step.alone_nanos,
            }
            for step in case.steps
        ],
        "payback": {
            "workNanos": back.work_nanos,
            "monthNanos": back.month_nanos,
            "tenthsOfMonths": back.tenths_of_months,
            "yearPercent": back.year_percent,
        },
    }


def show(work: Workload, found: Reckoning, notes: Sequence[str]) -> None:
    """Tables and bars on standard output."""
    from cli.demo_money import percent, usd
    from cli.show import console, print_table

    out = console()
    out.print(f"A month now: {usd(found.baseline_nanos, 2)}")
    print_table(
        ["what for", "a month", "share"],
        [
            [name, usd(nanos, 2), percent(nanos, found.baseline_nanos)]
            for name, nanos in found.buckets.items()
        ],
        right=" rr",
    )
    out.print("\nSaved a month, each step of what the steps before it left:")
    print_table(
        ["step", *CASES, "alone", "assumed (% low / expected / high)"],
        [*_step_rows(work, found), *_sum_rows(found)],
        right=" rrrr",
    )
    out.print('\n"alone": expected, were it the only step. Alone they cannot be added up.\n')
    for line in _bars(found):
        out.print(line)
    expected = found.cases["expected"]
    out.print("\nWhat to do first, by expected dollars for an hour of work:")
    print_table(
        ["", "step", "hours", "a month", "so far", "do"],
        [
            [
                f"{place}.",
                TITLES[task.step],
                str(task.hours),
                usd(task.month_nanos, 2),
                usd(task.so_far_nanos, 2),
                DO[task.step],
            ]
            for place, task in enumerate(roadmap(work, expected), start=1)
        ],
        right="  rrr",
    )
    running = usd(work.running_nanos, 2)
    out.print(f"\nReturn, at {usd(work.hourly_nanos, 2)} an hour and {running} a month to run:")
    backs = [(case, payback(work, found.cases[case])) for case in CASES]
    print_table(
        ["", "work", "a month, net", "paid after", "first year"],
        [[case, *back_cells(back)] for case, back in backs],
        right=" rrrr",
    )
    for note in notes:
        out.print(f"Note: {note}.")


def back_cells(back: Payback) -> list[str]:
    """Work, month, time and return of the first year, as people read them."""
    from cli.demo_money import usd

    tenths, year = back.tenths_of_months, back.year_percent
    return [
        usd(back.work_nanos, 2),
        usd(back.month_nanos, 2),
        "never" if tenths is None else f"{tenths // 10}.{tenths % 10} months",
        "-" if year is None else f"{year:,} %",
    ]


def _step_rows(work: Workload, found: Reckoning) -> list[list[str]]:
    from cli.demo_money import usd

    rows = []
    for place, name in enumerate(STEPS):
        steps = [found.cases[case].steps[place] for case in CASES]
        rate = work.rates[name]
        rates = " / ".join(percent_text(rate.of(case)) for case in CASES)
        rows.append(
            [
                TITLES[name],
                *(usd(step.saved_nanos, 2) for step in steps),
                usd(steps[1].alone_nanos, 2),
                f"{rates}: {rate.why}",
            ]
        )
    return rows


def _sum_rows(found: Reckoning) -> list[list[str]]:
    from cli.demo_money import percent, usd

    cases = [found.cases[case] for case in CASES]
    alone = sum(step.alone_nanos for step in cases[1].steps)
    return [
        ["all", *(usd(case.saved_nanos, 2) for case in cases), f"({usd(alone, 2)})", ""],
        ["", *(percent(case.saved_nanos, found.baseline_nanos) for case in cases), "", ""],
        ["left", *(usd(case.left_nanos, 2) for case in cases), "", ""],
    ]


def _bars(found: Reckoning) -> list[str]:
    from cli.demo_money import usd

    rows = [("now", found.baseline_nanos)]
    rows += [(case, found.cases[case].left_nanos) for case in CASES]
    return [
        f"{name:<10}{'█' * (BAR_CHARS * nanos // found.baseline_nanos):<{BAR_CHARS}}"
        f" {usd(nanos, 2)}"
        for name, nanos in rows
    ]


def percent_text(points: int) -> str:
    """Basis points as percent: 2170 is "21.7"."""
    whole, rest = divmod(points, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")
