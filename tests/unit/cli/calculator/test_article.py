"""The figures of docs/calculator.md about the article, reckoned."""

from dataclasses import replace
from fractions import Fraction
from math import prod
from pathlib import Path

from cli.calculator.reckon import reckon
from cli.demo_money import usd
from tests.unit.cli.calculator.works import GPT_4, month, support_chat

DOC = (Path(__file__).parents[4] / "docs/calculator.md").read_text()
ALL_TO_GPT_4 = (("gpt-4", 10_000, GPT_4),)


def told(text):
    assert text in DOC, text


def test_the_naive_estimate_is_right():
    """10,000 conversations of 500 + 300 tokens cost $330."""
    work = month(ALL_TO_GPT_4, requests=10_000, system=0, new=500, output=300, cheap=None)
    assert usd(reckon(work).baseline_nanos, 2) == "$330.00"


def test_overheads_multiply():
    """Added they are 2.6 times; each on top of the others 3.92 times."""
    parts = [Fraction(percent, 100) for percent in (40, 15, 25, 30, 50)]
    added, multiplied = 1 + sum(parts), prod(1 + part for part in parts)
    assert 330 * added == 858
    assert round(330 * multiplied) == 1295
    told("$858")
    told("$1,295")


def test_context_raises_what_is_read_only():
    """Six turns in place of one: the output costs what it did."""
    once = month(ALL_TO_GPT_4, requests=10_000, system=0, new=500, output=300, cheap=None)
    # The same conversation in four turns of 125 + 75.
    turns = month(ALL_TO_GPT_4, requests=40_000, system=0, new=125, output=75, turns=4, cheap=None)
    before, after = reckon(once), reckon(turns)
    assert after.buckets["output"] == before.buckets["output"]
    assert usd(after.baseline_nanos, 2) == "$690.00"
    told("$690")


def test_the_table_of_ten_turns():
    """Its sums are right; its rows are messages, and half of them are sent by nobody."""
    sent = [n * (n + 1) for n in range(1, 11)]
    assert sum(sent) == 440
    assert 2 + 9 * 4 == 38
    assert sum(sent[::2]) == 190
    # What is new at each of the five calls: the last answer and the question.
    assert sum(now - before for now, before in zip(sent[::2], [0, *sent[::2]], strict=False)) == 90
    assert all(sent[n] - 2 * sent[n - 1] + ([0, *sent][n - 1]) == 2 for n in range(1, 10))
    told("190 tokens")
    told("at least 90")


def test_the_case_study_could_not_have_cost_that():
    """No history: $360 to $720. History sent again: $1,260 to $1,620. Never $1,200."""

    def cost(new, turns):
        work = month(
            ALL_TO_GPT_4, requests=30_000, system=0, new=new, output=400 - new, turns=turns,
            cheap=None,
        )  # fmt: skip
        return usd(reckon(work).baseline_nanos, 2)

    assert [cost(400, 1), cost(0, 1)] == ["$360.00", "$720.00"]
    assert [cost(400, 6), cost(0, 6)] == ["$1,260.00", "$1,620.00"]
    told("$360 to $720")
    told("$1,260 to $1,620")


def test_the_case_study_claims_more_than_it_found():
    """Its own rates, one after another, leave far less than $960 of $4,800."""
    by_rates = Fraction(4800) * Fraction(1, 4) * (Fraction(3, 10) + Fraction(7, 10) / 30)
    assert by_rates == 388
    case = reckon(support_chat()).cases["expected"]
    told("$388")
    told(usd(case.left_nanos, 2))
    assert case.left_nanos < 960 * 10**9
    told(usd(sum(step.alone_nanos for step in case.steps), 2))


def test_its_savings_add_up_to_more_than_the_bill():
    """$1,800 to $3,000 are saved of $1,500."""
    low = 300 + 200 + 700 + 600
    high = 500 + 400 + 1200 + 900
    assert (low, high) == (1800, 3000)
    told("$1,800 to $3,000")


def test_payback_of_the_case_study():
    """$8,000 over $3,840 is 2.1 months, if it saved that; at a quarter of the volume 8.4."""
    assert -(-10 * 8000 // 3840) == 21
    work = replace(support_chat(), running_nanos=0)
    assert reckon(work).baseline_nanos == 4800 * 10**9
    assert -(-10 * 8000 // 960) == 84
    told("2.1 months")
    told("8.4 months")


def test_shorter_prompts_are_worth_a_tenth():
    """1 to 3 million tokens cost $1 to $3 at gpt-3.5-turbo's price, $30 to $90 at gpt-4's."""
    assert [millions * 1 for millions in (1, 3)] == [1, 3]
    assert [millions * GPT_4.input_picos // 10**6 for millions in (1, 3)] == [30, 90]
    told("$1 to $3")
    told("$30 to $90")
