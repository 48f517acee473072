"""Months to hold the three calculators to, and how their vectors are made.

`python -m tests.unit.cli.calculator.works` writes vectors.json anew.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.calculator.payback import payback, roadmap
from cli.calculator.reckon import reckon
from cli.calculator.steps import CASES, STEPS, Rate, assumed
from cli.calculator.workload import Prices, Workload, as_json, rows_of

VECTORS = Path(__file__).with_name("vectors.json")
GPT_4 = Prices(30_000_000, 30_000_000, 60_000_000)
GPT_35 = Prices(1_000_000, 1_000_000, 2_000_000)
GPT_54 = Prices(2_500_000, 250_000, 15_000_000)
MINI = Prices(150_000, 75_000, 600_000)
USD = 10**9


def month(
    mix=(("gpt-5.4", 8000, GPT_54), ("gpt-4o-mini", 2000, MINI)),
    *,
    requests=100_000,
    system=300,
    new=500,
    output=300,
    turns=1,
    cached=0,
    repeat=None,
    wait=0,
    cheap=MINI,
    rates=None,
    **more,
) -> Workload:
    """A workload of a form."""
    rows = rows_of(
        mix,
        requests=requests,
        instruction_tokens=system,
        new_tokens=new,
        output_tokens=output,
        turns=turns,
    )
    believed = assumed(repeat_bp=repeat, turns=turns, provider_caches=cached > 0, wait_bp=wait)
    taken = {"tool_bp": 0, **more}
    return Workload(
        rows=rows,
        turns=turns,
        cached_bp=cached,
        cheap=cheap,
        cheap_name="cheap" if cheap else "",
        rates=believed | (rates or {}),
        **taken,
    )


def works() -> dict[str, Workload]:
    """By name."""
    chat = month(turns=6, cached=6000, tool_bp=2000, wait=1000, repeat=3000)
    return {
        "defaults": month(),
        "chat": chat,
        "paid otherwise": replace(chat, spend_nanos=1500 * USD + 123_456_789),
        "no cheaper model": month(cheap=None, turns=3),
        "all repeats": month(turns=10, rates={"caching": Rate(0, 5000, 10_000, "said")}),
        "odd numbers": month(requests=12_347, system=331, new=77, output=19, turns=7, cached=3333),
        "free work": replace(chat, hours=dict.fromkeys(STEPS, 0), running_nanos=0),
        "the article's support chat": support_chat(),
    }


def support_chat() -> Workload:
    """20,000 conversations of 6 turns, 250 + 150 tokens each, with the rates that are claimed."""
    claimed = {
        "caching": Rate(7500, 7500, 7500, "claimed"),
        "context": Rate(6000, 6000, 6000, "claimed"),
        "instructions": Rate(4000, 4000, 4000, "claimed"),
        "routing": Rate(7000, 7000, 7000, "claimed"),
    }
    return month(
        (("gpt-4", 10_000, GPT_4),),
        requests=120_000,
        system=0,
        new=250,
        output=150,
        turns=6,
        cheap=GPT_35,
        rates=claimed,
        running_nanos=0,
        spend_nanos=4800 * USD,
    )


def outcome(work: Workload) -> dict[str, Any]:
    """What every calculator must find: whole numbers as text."""
    found = reckon(work)
    return {
        "baselineNanos": str(found.baseline_nanos),
        "cases": {case: _case(work, found.cases[case]) for case in CASES},
        "roadmap": [
            [task.step, str(task.month_nanos), str(task.so_far_nanos)]
            for task in roadmap(work, found.cases["expected"])
        ],
    }


def _case(work, case):
    back = payback(work, case)
    return {
        "steps": [
            [step.name, str(step.saved_nanos), str(step.left_nanos), str(step.alone_nanos)]
            for step in case.steps
        ],
        "savedNanos": str(case.saved_nanos),
        "payback": [
            None if each is None else str(each)
            for each in (
                back.work_nanos,
                back.month_nanos,
                back.tenths_of_months,
                back.year_percent,
            )
        ],
    }


def vectors() -> dict[str, Any]:
    """The whole file."""
    asked = [(None, 1, False, 0), (None, 6, True, 1234), (3333, 2, False, 10_000)]
    return {
        "months": {
            name: {"work": as_json(work), "outcome": outcome(work)}
            for name, work in works().items()
        },
        "assumed": [
            {
                "repeatBp": repeat,
                "turns": turns,
                "providerCaches": caches,
                "waitBp": wait,
                "rates": {
                    step: [rate.of(case) for case in CASES]
                    for step, rate in assumed(
                        repeat_bp=repeat, turns=turns, provider_caches=caches, wait_bp=wait
                    ).items()
                },
            }
            for repeat, turns, caches, wait in asked
        ],
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
