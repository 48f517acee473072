"""What the rules of the router speak of: a wish, the models that can meet it, a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from catalog.models import ModelCard
from catalog.schema import Capability


class Reason(Enum):
    """Why a model was chosen."""

    FIXED = auto()
    CHEAPEST_CAPABLE = auto()
    TARGET_MET = auto()
    TARGET_DEFAULT = auto()
    CHEAPEST = auto()
    BEST = auto()
    POLICY_FIXED = auto()
    POLICY_DEFAULT = auto()
    WEIGHTED = auto()
    CLASS = auto()
    MOST_CAPABLE = auto()
    LATENCY = auto()
    BUDGET = auto()


class Ground(Enum):
    """Why a model was left out. Of several, the first in this order is told."""

    RETIRED = auto()
    NOT_ROUTABLE = auto()
    TENANT = auto()
    REGION = auto()
    DEPRECATED = auto()
    UNHEALTHY = auto()
    CAPABILITY = auto()
    CONTEXT_WINDOW = auto()
    OUTPUT_LIMIT = auto()
    UNPRICED = auto()
    COST_MAX = auto()


@dataclass(frozen=True, slots=True)
class Want:
    """What is asked for. `output_tokens_max` None: each model's default.

    `warm_input_tokens` of the input are in the provider cache of `session_model`: leaving it
    costs their full price. `draw_key` decides draws: the same key, the same draw.
    """

    model: str
    input_tokens: int
    output_tokens_max: int | None = None
    needs: frozenset[Capability] = frozenset()
    cost_max_nanos: int | None = None
    choice_count: int = 1
    tenant: str = ""
    feature: str = ""
    text: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    embedding: tuple[float, ...] = field(default=(), repr=False)
    draw_key: str = ""
    region: str | None = None
    budget_used_percent: int | None = None
    session_model: str = ""
    warm_input_tokens: int = 0
    json_wanted: bool = False
    cheapest: bool = False
    allowed_models: tuple[str, ...] = ()
    # The policy that the caller names ("auto:best"); "" leaves it to the fleet file.
    policy: str = ""

    def allows(self, model: str) -> bool:
        """True when the caller may use the model; "*" at an end stands for any ending."""
        return not self.allowed_models or any(
            model.startswith(name[:-1]) if name.endswith("*") else model == name
            for name in self.allowed_models
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that can answer. The costs are None when its price is unknown."""

    card: ModelCard
    output_tokens_max: int
    expected_nanos: int | None = None
    worst_nanos: int | None = None
    price_version: str = ""
    input_picos: int | None = None


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
    able: Sequence[Candidate] = ()
    propensities: Mapping[str, float] = field(default_factory=dict)
