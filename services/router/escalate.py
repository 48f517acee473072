"""Plans that ask cheap models first, and whether one pays.

Pure: a plan is data that Route gives along, the gateway carries it out and the ledger holds its
worst case. The checks are catalog.checks, the gateway's too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.checks import Check
from catalog.routing import EscalationConfig

STEPS_MAX = 3
# A plan makes some callers wait twice: it must save this much, and mostly end at the first step.
# On published outcomes this keeps GSM8K (28 % of the money) and CRUX (51 %) and declines MATH
# level 5 (77 %).
SAVING_PERCENT_MIN = 35
STANDS_PERCENT_MIN = 50
# Of the requests for which a plan is declined so many get it all the same: traffic changes.
TRIAL_PERCENT = 2


@dataclass(frozen=True, slots=True)
class Step:
    """Ask `model`; accept when `checks` hold, else go on to the next step. `parallel`: with it."""

    model: str
    checks: Sequence[Check]
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` in order; the last one's answer is taken as it is. Costs in nano-USD."""

    steps: Sequence[Step]
    expected_nanos: int
    worst_nanos: int
    strong_nanos: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan, or None and why there is none."""

    plan: Plan | None
    reason: str


@dataclass(frozen=True, slots=True)
class Costs:
    """Expected and worst nano-USD of one call."""

    expected_nanos: int
    worst_nanos: int


def plan_for(
    cheap: Sequence[tuple[str, Costs]],
    strong: tuple[str, Costs],
    *,
    agreed_percent: int | None,
    hopeful_percent: int | None = None,
    config: EscalationConfig | None = None,
    json_wanted: bool = False,
    tools_wanted: bool = False,
    trial: bool = False,
) -> Offer:
    """The plan, where it pays: its expected cost must be well below asking the strong model.

    `agreed_percent`: how often the cheap answers stood their checks so far. None: not known, then
    no plan is offered. `hopeful_percent`: how often they may stand, as far as few answers tell;
    default: `agreed_percent`. A plan is declined when even that does not pay. `trial`: offered
    all the same, to learn how often they stand.
    """
    stand = STANDS_PERCENT_MIN if agreed_percent is None else agreed_percent
    hoped = max(stand, hopeful_percent or 0)
    first = sum(costs.expected_nanos for _, costs in cheap)
    expected = first + -(-strong[1].expected_nanos * (100 - stand) // 100)
    hoped_nanos = first + -(-strong[1].expected_nanos * (100 - hoped) // 100)
    ceiling = strong[1].expected_nanos * (100 - SAVING_PERCENT_MIN) // 100
    reason = f"cheap answers stand {agreed_percent} % of the time"
    if agreed_percent is None:
        reason = "not known yet how often the cheap answers stand"
    pays = agreed_percent is not None and hoped >= STANDS_PERCENT_MIN and hoped_nanos < ceiling
    if not pays and not trial:
        return Offer(None, reason if agreed_percent is None else f"{reason}: it does not pay")
    if not pays:
        reason += "; tried, to learn it"
    checks = [Check.FINISHED, Check.NOT_EMPTY, Check.NOT_REFUSED]
    checks += [Check.JSON] if json_wanted else []
    checks += [Check.TOOL_CALL] if tools_wanted else []
    pair = len(cheap) > 1 and (config is None or config.agreement)
    together = pair and (config is None or config.parallel)
    steps = [
        Step(name, (*checks, Check.AGREEMENT) if pair else tuple(checks), parallel=together)
        for name, _ in cheap
    ]
    steps.append(Step(strong[0], ()))
    worst = sum(costs.worst_nanos for _, costs in cheap) + strong[1].worst_nanos
    plan = Plan(tuple(steps), expected, worst, strong[1].expected_nanos)
    return Offer(plan, reason)
