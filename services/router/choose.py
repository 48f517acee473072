"""Which model answers a request, what else could, and why the rest cannot. Rules only.

A model can answer when it has the capabilities that are needed, when the prompt and the answer
fit its window and limits, and when its worst case stays within the caller's limit. Of those the
cheapest is taken, by expected cost: the prompt as counted and, until something better is known,
the model's default number of output tokens for every answer drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from catalog.fleet import Fleet
from catalog.models import ModelCard
from catalog.nearest import nearest
from catalog.price import ModelPrice, cost_nanos, hold_nanos, worst_usage
from catalog.prices import UnknownModel, Unpriced
from catalog.schema import AUTO, Capability, PolicyConfig, RoutingPolicy
from catalog.usage import Usage
from services.router.advice import Advice
from services.router.candidate import Candidate, Decision, Exclusion, Ground, Reason, Want
from services.router.explain import (
    cheapest_explained,
    cost_max_detail,
    deprecated_detail,
    fixed_explained,
    lacking_detail,
    output_detail,
    window_detail,
)
from services.router.pick import NoneInClass, pick

__all__ = [
    "Candidate",
    "Decision",
    "Exclusion",
    "Ground",
    "NoCandidate",
    "Reason",
    "Want",
    "choose",
]


class NoCandidate(Exception):
    """Every model was left out. `exclusions` are in the order of their names."""

    def __init__(self, exclusions: Sequence[Exclusion]) -> None:
        super().__init__(f"none of {len(exclusions)} models can take the request")
        self.exclusions = exclusions


def choose(
    fleet: Fleet,
    want: Want,
    at: datetime,
    advice: Advice | None = None,
    unhealthy: Mapping[str, str] = MappingProxyType({}),
) -> Decision:
    """The decision for one request at the prices of a moment.

    `unhealthy`: models that fail at present, and how. Named models are asked for all the same.
    Raises: catalog.prices.UnknownModel; NoCandidate.
    """
    if want.model == AUTO:
        found = _automatic(fleet, want, at, advice, unhealthy)
    else:
        found = _fixed(fleet, want, at)
    warning = deprecated_detail(found.chosen.card, at)
    if not warning:
        return found
    text = f"{found.explanation.removesuffix('.')}; {found.chosen.card.name}: {warning}."
    return replace(found, explanation=text)


def _automatic(
    fleet: Fleet,
    want: Want,
    at: datetime,
    advice: Advice | None,
    unhealthy: Mapping[str, str],
) -> Decision:
    policy = _policy(fleet, want)
    able, left_out = _sift(fleet, fleet.models.all(), want, at, advice)
    able = _unless_all(able, left_out, Ground.UNHEALTHY, unhealthy)
    if fleet.config.routing.deprecated == "avoid":
        old = {each.card.name: deprecated_detail(each.card, at) for each in able}
        advised = {name: why for name, why in old.items() if why}
        able = _unless_all(able, left_out, Ground.DEPRECATED, advised)
    if not able:
        raise NoCandidate(left_out)
    able.sort(key=_by_cost)
    if want.cheapest:
        policy = PolicyConfig(policy=RoutingPolicy.CHEAPEST)
    try:
        picked = pick(able, want, policy, advice, fleet.baseline_model(at))
    except NoneInClass as error:
        detail = f"is not a model for {error.name} tasks"
        rest = [Exclusion(each.card.name, Ground.CAPABILITY, detail) for each in able]
        left_out = sorted([*left_out, *rest], key=lambda exclusion: exclusion.model)
        raise NoCandidate(left_out) from None
    if picked.reason is Reason.CHEAPEST_CAPABLE:
        return _cheapest(fleet, able, left_out, at)
    others = [each for each in able if each is not picked.chosen]
    return Decision(
        chosen=picked.chosen,
        fallbacks=others[: fleet.config.routing.fallbacks_max],
        reason=picked.reason,
        explanation=picked.explanation,
        exclusions=left_out,
        baseline_model=fleet.baseline_model(at),
        able=able,
        propensities=picked.propensities,
    )


def _policy(fleet: Fleet, want: Want) -> PolicyConfig:
    """Raises UnknownModel for a policy that the fleet does not know."""
    routing = fleet.config.routing
    words = routing.policy_words(want.feature)
    if want.policy and want.policy not in words:
        meant = nearest(want.policy, words)
        raise UnknownModel(f"{AUTO}:{want.policy}", f"{AUTO}:{meant}" if meant else AUTO)
    return routing.policy_for(want.feature, want.policy)


def _unless_all(
    able: list[Candidate],
    left_out: list[Exclusion],
    ground: Ground,
    details: Mapping[str, str],
) -> list[Candidate]:
    """`able` without those named in `details`, who join `left_out`; when all are, all stay."""
    well = [each for each in able if each.card.name not in details]
    if not well or len(well) == len(able):
        # When all are ill the least bad still gets the call.
        return able
    names = [each.card.name for each in able if each.card.name in details]
    left_out += [Exclusion(name, ground, details[name]) for name in names]
    left_out.sort(key=lambda exclusion: exclusion.model)
    return well


def _cheapest(
    fleet: Fleet, able: Sequence[Candidate], left_out: Sequence[Exclusion], at: datetime
) -> Decision:
    chosen, others = able[0], able[1:]
    return Decision(
        chosen=chosen,
        fallbacks=others[: fleet.config.routing.fallbacks_max],
        reason=Reason.CHEAPEST_CAPABLE,
        explanation=cheapest_explained(
            (chosen.card.name, chosen.expected_nanos or 0),
            (others[0].card.name, others[0].expected_nanos or 0) if others else None,
            able_count=len(able),
            left_out_count=len(left_out),
        ),
        exclusions=left_out,
        baseline_model=fleet.baseline_model(at),
        able=able,
        propensities={chosen.card.name: 1.0},
    )


def _fixed(fleet: Fleet, want: Want, at: datetime) -> Decision:
    card = fleet.models.card(want.model)
    result = _weigh(fleet, card, want, at)
    if isinstance(result, Exclusion):
        raise NoCandidate([result])
    others = [fleet.models.card(name) for name in card.fallbacks]
    fallbacks, left_out = _sift(fleet, others, want, at)
    return Decision(
        chosen=result,
        fallbacks=fallbacks,
        reason=Reason.FIXED,
        explanation=fixed_explained(
            card.name,
            alias=want.model if want.model != card.name else None,
            expected_nanos=result.expected_nanos,
            worst_nanos=result.worst_nanos,
        ),
        exclusions=left_out,
        baseline_model=fleet.baseline_model(at),
    )


def _by_cost(candidate: Candidate) -> tuple[int, int, str]:
    # "auto" never takes an unpriced model, so both costs are there.
    return candidate.expected_nanos or 0, candidate.worst_nanos or 0, candidate.card.name


def _sift(
    fleet: Fleet,
    cards: Iterable[ModelCard],
    want: Want,
    at: datetime,
    advice: Advice | None = None,
) -> tuple[list[Candidate], list[Exclusion]]:
    """Those that can answer, in the order given, and those that cannot, by name."""
    able: list[Candidate] = []
    left_out: list[Exclusion] = []
    for card in cards:
        result = _weigh(fleet, card, want, at, advice)
        if isinstance(result, Candidate):
            able.append(result)
        else:
            left_out.append(result)
    left_out.sort(key=lambda exclusion: exclusion.model)
    return able, left_out


def _weigh(
    fleet: Fleet, card: ModelCard, want: Want, at: datetime, advice: Advice | None = None
) -> Candidate | Exclusion:
    """The model as a candidate for this request, or the first reason why it is none."""
    forbidden = _forbidden(fleet, card, want, at)
    if forbidden is not None:
        return forbidden
    automatic = want.model == AUTO
    lacking = _lacking(card, want.needs, automatic=automatic)
    if lacking:
        known = card.capabilities is not None
        return Exclusion(card.name, Ground.CAPABILITY, lacking_detail(lacking, known=known))
    if want.output_tokens_max is not None and want.output_tokens_max > (
        card.output_tokens_max or want.output_tokens_max
    ):
        detail = output_detail(want.output_tokens_max, card.output_tokens_max or 0)
        return Exclusion(card.name, Ground.OUTPUT_LIMIT, detail)
    output = _output_tokens(card, want)
    window = None if card.embeds else card.context_window_tokens
    if window is not None and want.input_tokens + output > window:
        detail = window_detail(want.input_tokens, output, window)
        return Exclusion(card.name, Ground.CONTEXT_WINDOW, detail)
    usual = advice.output_tokens.get(card.name) if advice else None
    return _weigh_cost(fleet, card, want, at, (output, usual))


def _forbidden(fleet: Fleet, card: ModelCard, want: Want, at: datetime) -> Exclusion | None:
    """Why the operator or the provider does not let the model be used, None when they do."""
    if card.retired(at):
        day = card.retire_time.date().isoformat() if card.retire_time else ""
        return Exclusion(card.name, Ground.RETIRED, f"its provider switched it off on {day}")
    if not want.allows(card.name):
        return Exclusion(card.name, Ground.TENANT, "is not among the key's models")
    return _kept_out(fleet, card, want) if want.model == AUTO else None


def _kept_out(fleet: Fleet, card: ModelCard, want: Want) -> Exclusion | None:
    """Why automatic choice may not take the model, None when it may."""
    if not card.routable:
        detail = "the operator keeps it out of automatic choice"
        return Exclusion(card.name, Ground.NOT_ROUTABLE, detail)
    allowed = fleet.config.routing.tenants.get(want.tenant)
    if allowed is not None and card.name not in allowed:
        return Exclusion(card.name, Ground.TENANT, "is not among the tenant's models")
    if want.region is not None and card.region != want.region:
        detail = f"runs in {card.region}" if card.region else "its region is not told"
        return Exclusion(card.name, Ground.REGION, detail)
    return None


def _weigh_cost(
    fleet: Fleet, card: ModelCard, want: Want, at: datetime, outputs: tuple[int, int | None]
) -> Candidate | Exclusion:
    output, usual = outputs
    try:
        price = fleet.book.price(card.name, at)
    except Unpriced as error:
        if want.model == AUTO or want.cost_max_nanos is not None:
            return Exclusion(card.name, Ground.UNPRICED, f"its price is unknown: {error.reason}")
        return Candidate(card, output)
    worst = hold_nanos(price, worst_usage(want.input_tokens, output, want.choice_count))
    if want.cost_max_nanos is not None and worst > want.cost_max_nanos:
        detail = cost_max_detail(worst, want.cost_max_nanos)
        return Exclusion(card.name, Ground.COST_MAX, detail)
    expected = _expected(price, card, want, min(output, usual or card.output_tokens_default))
    return Candidate(card, output, expected, worst, price.version, price.rates.input_picos)


def _expected(price: ModelPrice, card: ModelCard, want: Want, written: int) -> int:
    warm = min(want.warm_input_tokens, want.input_tokens) if card.name == want.session_model else 0
    usage = Usage(
        input_tokens=want.input_tokens - warm,
        cached_input_tokens=warm,
        output_tokens=written * want.choice_count,
    )
    return cost_nanos(price, usage)


def _output_tokens(card: ModelCard, want: Want) -> int:
    """Output tokens to ask for: the caller's limit, else as much of the default as fits."""
    if want.output_tokens_max is not None:
        return want.output_tokens_max
    if card.context_window_tokens is None:
        return card.output_tokens_default
    room = card.context_window_tokens - want.input_tokens
    return max(1, min(card.output_tokens_default, room))


def _lacking(
    card: ModelCard, needs: frozenset[Capability], *, automatic: bool
) -> Sequence[Capability]:
    """What the model lacks, as far as is known: a named model gets the benefit of the doubt."""
    if card.capabilities is None:
        return sorted(needs) if automatic else ()
    return sorted(needs - card.capabilities)
