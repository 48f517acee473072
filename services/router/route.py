"""One batch of requests to route, from messages to decisions. CPU work."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from spendgate.router.v1 import router_service_pb2 as pb

from catalog.fleet import Fleet
from catalog.schema import AUTO, Capability
from services.router.candidate import Candidate, Decision, Reason, Want
from services.router.check import check_item
from services.router.choose import choose
from services.router.convert import CHECKS, to_candidate, to_decision, want_of
from services.router.escalate import TRIAL_PERCENT, Costs, plan_for
from services.router.mind import Mind, OutcomesUnavailable, Reading, drawn


def route(
    fleet: Fleet, mind: Mind, items: Sequence[pb.RouteItem], at: datetime
) -> list[pb.Decision | Exception]:
    """One decision or exception an item, in order."""
    wants: list[Want | Exception] = []
    for item in items:
        try:
            check_item(item)
            wants.append(want_of(item))
        except Exception as error:
            wants.append(error)
    good = [want for want in wants if isinstance(want, Want)]
    readings = iter(mind.read(good))
    unhealthy = mind.unhealthy(at.timestamp())
    outcomes: list[pb.Decision | Exception] = []
    kept: list[tuple[Want, Reading, Mapping[str, float]]] = []
    for want in wants:
        if isinstance(want, Exception):
            outcomes.append(want)
            continue
        reading = next(readings)
        try:
            advice = reading.advice if reading else None
            decision = choose(fleet, want, at, advice, unhealthy)
            made = answer(fleet, mind, want, decision)
            outcomes.append(made)
        except Exception as error:
            outcomes.append(error)
            continue
        if reading is not None:
            kept.append((want, reading, odds_of(fleet, made)))
    mind.remember(kept)
    _flush(mind)
    return outcomes


def odds_of(fleet: Fleet, made: pb.Decision) -> Mapping[str, float]:
    """How likely each model was to be asked, a shadow call included: what off-policy estimates
    need."""
    odds = {each.model: each.probability for each in made.propensities}
    share = fleet.config.routing.learning.shadow_percent / 100
    if share and made.baseline_model and made.chosen.model != made.baseline_model:
        odds[made.baseline_model] = max(odds.get(made.baseline_model, 0.0), share)
    return odds


def answer(fleet: Fleet, mind: Mind, want: Want, decision: Decision) -> pb.Decision:
    """The decision as the contract has it, with its plan and shadow."""
    message = to_decision(decision)
    if want.model != AUTO:
        return message
    _plan(fleet, mind, want, decision, message)
    share = fleet.config.routing.learning.shadow_percent
    chance = want.draw_key and drawn(f"shadow {want.draw_key}", share)
    if chance and not message.HasField("plan") and _routed_down(decision):
        message.shadow_model = decision.baseline_model or ""
    return message


def _routed_down(decision: Decision) -> bool:
    """Whether a cheaper model than the baseline was chosen, and the baseline could answer too."""
    for each in decision.able:
        if each.card.name == decision.baseline_model:
            return (each.expected_nanos or 0) > (decision.chosen.expected_nanos or 0)
    return False


def _plan(fleet: Fleet, mind: Mind, want: Want, decision: Decision, message: pb.Decision) -> None:
    config = fleet.config.routing.policy_for(want.feature, want.policy).escalation
    if config is None or want.choice_count > 1:
        return
    able = {each.card.name: each for each in decision.able}
    wanted = [*config.cheap, config.strong]
    if not all(name in able for name in wanted):
        return
    agreed = hopeful = config.agreed_percent
    if agreed is None:
        known = mind.agreed_percent(want.tenant, want.feature, config.cheap[0])
        agreed, hopeful = known or (None, None)
    trial = config.agreed_percent is None and (
        agreed is None or drawn(want.draw_key, TRIAL_PERCENT)
    )
    offer = plan_for(
        [(name, _costs(able[name])) for name in config.cheap],
        (config.strong, _costs(able[config.strong])),
        agreed_percent=agreed,
        hopeful_percent=hopeful,
        config=config,
        trial=trial and bool(want.draw_key),
        json_wanted=want.json_wanted,
        tools_wanted=Capability.TOOLS in want.needs,
    )
    plan = offer.plan
    if plan is None or (want.cost_max_nanos is not None and plan.worst_nanos > want.cost_max_nanos):
        return
    sure = decision.reason is Reason.TARGET_MET
    if sure and (decision.chosen.expected_nanos or 0) <= plan.expected_nanos:
        # What was chosen is good enough and no dearer: there is nothing to check it against.
        return
    message.plan.CopyFrom(
        pb.Plan(
            steps=[
                pb.PlanStep(
                    candidate=to_candidate(able[step.model]),
                    checks=[CHECKS[check] for check in step.checks],
                    parallel=step.parallel,
                )
                for step in plan.steps
            ],
            expected_cost_nanos=plan.expected_nanos,
            worst_case_nanos=plan.worst_nanos,
            strong_cost_nanos=plan.strong_nanos,
            explanation=offer.reason,
        )
    )


def _costs(candidate: Candidate) -> Costs:
    return Costs(candidate.expected_nanos or 0, candidate.worst_nanos or 0)


def _flush(mind: Mind) -> None:
    if not mind.must_flush:
        return
    try:
        mind.flush()
    except OutcomesUnavailable:
        # Decisions wait on; a report of an outcome says that the file is not there.
        return
