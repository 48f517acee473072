"""What to do first, and when it has paid for itself."""

from dataclasses import dataclass

from cli.calculator.reckon import Case
from cli.calculator.steps import STEPS
from cli.calculator.workload import Workload

MONTHS_OF_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class Task:
    """A step with its work. `so_far_nanos`: a month, once this and all before it are done."""

    step: str
    hours: int
    month_nanos: int
    so_far_nanos: int


@dataclass(frozen=True, slots=True)
class Payback:
    """Cost of the work, what a month then brings, net of running the fleet.

    `tenths_of_months` until the work is paid, rounded up; None: never. `year_percent`: the first
    year's gain over the work's cost, whole percent towards zero; None when there is no work.
    """

    work_nanos: int
    month_nanos: int
    tenths_of_months: int | None
    year_percent: int | None


def roadmap(work: Workload, case: Case) -> tuple[Task, ...]:
    """The steps that save something, by dollars for an hour, most first; then as reckoned."""
    saved = {step.name: step.saved_nanos for step in case.steps}
    worth = [step for step in STEPS if saved[step] > 0]
    # A step without work comes first; ties keep the order of reckoning.
    worth.sort(key=lambda step: _by_the_hour(saved[step], work.hours[step]), reverse=True)
    tasks, so_far = [], 0
    for step in worth:
        so_far += saved[step]
        tasks.append(Task(step, work.hours[step], saved[step], so_far))
    return tuple(tasks)


def payback(work: Workload, case: Case) -> Payback:
    """Of doing all that saves something."""
    tasks = roadmap(work, case)
    cost = sum(task.hours for task in tasks) * work.hourly_nanos
    month = case.saved_nanos - work.running_nanos
    tenths = -(-10 * cost // month) if month > 0 else None
    gain = MONTHS_OF_A_YEAR * month - cost
    percent = (abs(gain) * 100 // cost) * (1 if gain >= 0 else -1) if cost else None
    return Payback(cost, month, tenths, percent)


def _by_the_hour(saved_nanos: int, hours: int) -> tuple[bool, int]:
    return (hours == 0, saved_nanos if hours == 0 else saved_nanos // hours)
