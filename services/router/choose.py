"""Which model answers a request, what else could, and why the rest cannot. Rules only.

A model can answer when it has the capabilities that are needed, when the prompt and the answer
fit its window and limits, and when its worst case stays within the caller's limit. Of those the
cheapest is taken, by expected cost: the prompt as counted and, until something better is known,
the model's default number of output tokens for every answer drawn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from catalog.fleet import Fleet
from catalog.models import ModelCard
from catalog.price import ModelPrice, cost_nanos, hold_nanos, worst_usage
from catalog.prices import Unpriced
from catalog.schema import AUTO, Capability
from catalog.usage import Usage
from services.router.explain import (
    cheapest_explained,
    cost_max_detail,
    fixed_explained,
    lacking_detail,
    output_detail,
    window_detail,
)


class Reason(Enum):
    """Why a model was chosen."""

    FIXED = auto()
    CHEAPEST_CAPABLE = auto()


class Ground(Enum):
    """Why a model was left out. Of several, the first in this order is told."""

    RETIRED = auto()
    NOT_ROUTABLE = auto()
    CAPABILITY = auto()
    CONTEXT_WINDOW = auto()
    OUTPUT_LIMIT = auto()
    UNPRICED = auto()
    COST_MAX = auto()


@dataclass(frozen=True, slots=True)
class Want:
    """What is asked for. `output_tokens_max` None: each model's default."""

    model: str
    input_tokens: int
    output_tokens_max: int | None = None
    needs: frozenset[Capability] = frozenset()
    cost_max_nanos: int | None = None
    choice_count: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that can answer. The costs are None when its price is unknown."""

    card: ModelCard
    output_tokens_max: int
    expected_nanos: int | None = None
    worst_nanos: int | None = None
    price_version: str = ""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A model that was left out. `detail` says why to people, with the numbers."""

    model: str
    ground: Ground
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The model to call, what to try after it, and why. Exclusions are in the order of names."""

    chosen: Candidate
    fallbacks: Sequence[Candidate]
    reason: Reason
    explanation: str
    exclusions: Sequence[Exclusion]
    baseline_model: str | None


class NoCandidate(Exception):
    """Every model was left out. `exclusions` are in the order of their names."""

    def __init__(self, exclusions: Sequence[Exclusion]) -> None:
        super().__init__(f"none of {len(exclusions)} models can take the request")
        self.exclusions = exclusions


def choose(fleet: Fleet, want: Want, at: datetime) -> Decision:
    """The decision for one request at the prices of a moment.

    Raises: catalog.prices.UnknownModel; NoCandidate.
    """
    if want.model == AUTO:
        return _cheapest(fleet, want, at)
    return _fixed(fleet, want, at)


def _cheapest(fleet: Fleet, want: Want, at: datetime) -> Decision:
    able, left_out = _sift(fleet, fleet.models.all(), want, at)
    if not able:
        raise NoCandidate(left_out)
    able.sort(key=_by_cost)
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
    fleet: Fleet, cards: Iterable[ModelCard], want: Want, at: datetime
) -> tuple[list[Candidate], list[Exclusion]]:
    """Those that can answer, in the order given, and those that cannot, by name."""
    able: list[Candidate] = []
    left_out: list[Exclusion] = []
    for card in cards:
        result = _weigh(fleet, card, want, at)
        if isinstance(result, Candidate):
            able.append(result)
        else:
            left_out.append(result)
    left_out.sort(key=lambda exclusion: exclusion.model)
    return able, left_out


def _weigh(fleet: Fleet, card: ModelCard, want: Want, at: datetime) -> Candidate | Exclusion:
    """The model as a candidate for this request, or the first reason why it is none."""
    automatic = want.model == AUTO
    if card.retired(at):
        day = card.retire_time.date().isoformat() if card.retire_time else ""
        return Exclusion(card.name, Ground.RETIRED, f"its provider switched it off on {day}")
    if automatic and not card.routable:
        detail = "the operator keeps it out of automatic choice"
        return Exclusion(card.name, Ground.NOT_ROUTABLE, detail)
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
    window = card.context_window_tokens
    if window is not None and want.input_tokens + output > window:
        detail = window_detail(want.input_tokens, output, window)
        return Exclusion(card.name, Ground.CONTEXT_WINDOW, detail)
    return _weigh_cost(fleet, card, want, output, at)


def _weigh_cost(
    fleet: Fleet, card: ModelCard, want: Want, output: int, at: datetime
) -> Candidate | Exclusion:
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
    expected = _expected(price, card, want, output)
    return Candidate(card, output, expected, worst, price.version)


def _expected(price: ModelPrice, card: ModelCard, want: Want, output: int) -> int:
    written = min(output, card.output_tokens_default) * want.choice_count
    return cost_nanos(price, Usage(input_tokens=want.input_tokens, output_tokens=written))


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
