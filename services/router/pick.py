"""One of the models that can answer, by the operator's policy. Rules only.

Every policy gets the candidates cheapest first and gives one of them with the reason. `target`
takes the cheapest model whose expected quality meets the target for nearly certain; where that
cannot be told, or routing does not pay on the tenant's outcomes, the reference model is taken.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.money import usd_text
from catalog.schema import PolicyConfig, RoutingPolicy
from services.router.advice import Advice, Estimate
from services.router.candidate import Candidate, Reason, Want
from services.router.classes import complexity

CALLS_PER_TARGET = 1_000
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Picked:
    """The choice, why, the same for people, and how likely each model was to be chosen."""

    chosen: Candidate
    reason: Reason
    explanation: str
    propensities: Mapping[str, float] = field(default_factory=dict)


class NoneInClass(Exception):
    """No model of the class can answer. `name` is the class."""

    def __init__(self, name: str) -> None:
        super().__init__("no model of the class can answer")
        self.name = name


@dataclass(frozen=True, slots=True)
class _Case:
    able: Sequence[Candidate]
    want: Want
    policy: PolicyConfig
    advice: Advice | None
    reference: str | None

    def named(self, name: str | None) -> Candidate | None:
        return next((each for each in self.able if each.card.name == name), None)

    def default(self) -> Candidate:
        """What every call would go to: the reference model, else the dearest that can answer."""
        return self.named(self.policy.target.of or self.reference) or self.able[-1]


def pick(
    able: Sequence[Candidate],
    want: Want,
    policy: PolicyConfig,
    advice: Advice | None,
    reference: str | None,
) -> Picked:
    """Picks of `able` (not empty, cheapest first). `reference`: the fleet's baseline model.

    Raises NoneInClass (only `classes`).
    """
    case = _Case(able, want, policy, advice, reference)
    return _POLICIES[policy.policy](case)


def _picked(case: _Case, chosen: Candidate, reason: Reason, why: str) -> Picked:
    cost = usd_text(chosen.expected_nanos or 0)
    text = f"{chosen.card.name} {why}, expected at {cost} USD"
    default = case.default()
    if default is not chosen:
        text += f"; {default.card.name} at {usd_text(default.expected_nanos or 0)}"
    return Picked(chosen, reason, f"{text}.", {chosen.card.name: 1.0})


def _cheapest(case: _Case) -> Picked:
    return _picked(case, case.able[0], Reason.CHEAPEST, "is the cheapest that can answer")


def _fixed(case: _Case) -> Picked:
    chosen = case.named(case.policy.fixed)
    if chosen is None:
        why = f"stands in for {case.policy.fixed}, which cannot answer"
        return _picked(case, case.default(), Reason.POLICY_DEFAULT, why)
    return _picked(case, chosen, Reason.POLICY_FIXED, "is the model the policy names")


def _best(case: _Case) -> Picked:
    estimates = case.advice.estimates if case.advice else {}
    if not estimates:
        return _picked(case, case.able[-1], Reason.BEST, "is the dearest, nothing else is known")
    # Of equals the cheaper: max keeps the first.
    chosen = max(case.able, key=lambda each: _estimate(estimates, each).quality)
    quality = _estimate(estimates, chosen).quality
    return _picked(case, chosen, Reason.BEST, f"has the highest expected quality ({quality:.2f})")


def _weighted(case: _Case) -> Picked:
    shares = [
        (each, case.policy.weights[each.card.name])
        for each in sorted(case.able, key=lambda each: each.card.name)
        if each.card.name in case.policy.weights
    ]
    if not shares:
        why = "stands in: no model of the comparison can answer"
        return _picked(case, case.default(), Reason.POLICY_DEFAULT, why)
    total = sum(share for _, share in shares)
    digest = hashlib.sha256(f"{case.want.tenant}\0{case.want.draw_key}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") % total
    chosen = shares[-1][0]
    for each, share in shares:
        if place < share:
            chosen = each
            break
        place -= share
    found = _picked(case, chosen, Reason.WEIGHTED, "was drawn by its share")
    odds = {each.card.name: share / total for each, share in shares}
    return Picked(chosen, found.reason, found.explanation, odds)


def _classes(case: _Case) -> Picked:
    name = complexity(case.want.description or case.want.text)
    members = case.policy.classes.get(name, [])
    able = [each for each in case.able if each.card.name in members]
    if not able:
        last = case.named(case.policy.most_capable)
        if last is None:
            raise NoneInClass(str(name))
        why = f"is the most capable; no model for {name} tasks can answer"
        return _picked(case, last, Reason.MOST_CAPABLE, why)
    # By the price of input alone, as the classes' own table is read.
    chosen = min(able, key=lambda each: (each.input_picos or 0, each.card.name))
    return _picked(case, chosen, Reason.CLASS, f"reads cheapest of {len(able)} for {name} tasks")


def _latency(case: _Case) -> Picked:
    known = case.advice.latency_ms if case.advice else {}
    timed = [each for each in case.able if each.card.name in known]
    if not timed:
        return _picked(case, case.able[0], Reason.LATENCY, "is the cheapest, no latency is known")
    chosen = min(timed, key=lambda each: known[each.card.name])
    why = f"answers fastest ({known[chosen.card.name]:.0f} ms)"
    return _picked(case, chosen, Reason.LATENCY, why)


def _budget(case: _Case) -> Picked:
    used = case.want.budget_used_percent
    rules = sorted(case.policy.budget_rules, key=lambda rule: rule.used_percent_from)
    held = [rule for rule in rules if used is not None and used >= rule.used_percent_from]
    if not held:
        return _target(case)
    inner = _POLICIES[RoutingPolicy(held[-1].policy)](case)
    text = f"{inner.explanation.removesuffix('.')}; {used} % of the budget is used."
    return Picked(inner.chosen, Reason.BUDGET, text, inner.propensities)


def _capable(case: _Case) -> Picked:
    return _picked(case, case.able[0], Reason.CHEAPEST_CAPABLE, "is the cheapest that can answer")


def _target(case: _Case) -> Picked:
    default, advice = case.default(), case.advice
    if advice is None or not advice.estimates:
        # No text was sent: there is nothing to predict from.
        return _capable(case)
    if advice.pays is False:
        why = "is the default: on this tenant's outcomes routing does not pay"
        return _picked(case, default, Reason.TARGET_DEFAULT, why)
    target, estimates = case.policy.target, advice.estimates
    ceiling = _ceiling_nanos(case, default)
    affordable = [e for e in case.able if ceiling is None or (e.expected_nanos or 0) <= ceiling]
    bound = advice.quality_percent_min or target.quality_percent_min
    wanted = _estimate(estimates, default).quality * bound / PERCENT
    for each in affordable:
        if each is default:
            break
        found = _estimate(estimates, each)
        if found.low >= wanted:
            why = (
                f"is the cheapest whose quality ({found.low:.2f} or more) meets"
                f" {bound} % of {default.card.name}'s"
            )
            return _picked(case, each, Reason.TARGET_MET, why)
    if default in affordable or not affordable:
        why = "is the default: nothing cheaper is sure to meet the target"
        return _picked(case, default, Reason.TARGET_DEFAULT, why)
    # Money is the harder limit: the best of what it buys.
    chosen = max(affordable, key=lambda each: _estimate(estimates, each).quality)
    return _picked(case, chosen, Reason.TARGET_MET, "is the best within the target's money")


def _ceiling_nanos(case: _Case, default: Candidate) -> int | None:
    target = case.policy.target
    limits = []
    if target.usd_per_1000_calls_max is not None:
        limits.append(int(target.usd_per_1000_calls_max * 10**9) // CALLS_PER_TARGET)
    if target.cheaper_percent_min is not None and default.expected_nanos is not None:
        limits.append(default.expected_nanos * (PERCENT - target.cheaper_percent_min) // PERCENT)
    return min(limits) if limits else None


def _estimate(estimates: Mapping[str, Estimate], candidate: Candidate) -> Estimate:
    return estimates.get(candidate.card.name, _UNKNOWN)


_UNKNOWN = Estimate(0.0, 1.0, 0.0)
_POLICIES: Mapping[RoutingPolicy, Callable[[_Case], Picked]] = {
    RoutingPolicy.TARGET: _target,
    RoutingPolicy.CHEAPEST_CAPABLE: _capable,
    RoutingPolicy.CHEAPEST: _cheapest,
    RoutingPolicy.BEST: _best,
    RoutingPolicy.FIXED: _fixed,
    RoutingPolicy.WEIGHTED: _weighted,
    RoutingPolicy.CLASSES: _classes,
    RoutingPolicy.LATENCY: _latency,
    RoutingPolicy.BUDGET: _budget,
}
