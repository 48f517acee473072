"""How "auto" chooses, as an operator may write it in the fleet file."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.shapes import Name, Percent, Section, Tokens


class RoutingPolicy(StrEnum):
    """How "auto" picks one of the models that can answer."""

    TARGET = "target"
    CHEAPEST_CAPABLE = "cheapest_capable"
    CHEAPEST = "cheapest"
    BEST = "best"
    FIXED = "fixed"
    WEIGHTED = "weighted"
    CLASSES = "classes"
    LATENCY = "latency"
    BUDGET = "budget"


class Complexity(StrEnum):
    """The five classes of the `classes` policy, easiest first."""

    TRIVIAL = "trivial"
    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"
    EXPERT = "expert"


class TargetConfig(Section):
    """What automatic choice must reach, in the operator's words. All that are given hold."""

    quality_percent_min: Percent = 97
    """Expected quality, as a share of the quality of `of`."""
    of: Name | None = None
    """The model quality is compared with. Default: baseline_model, else the dearest."""
    usd_per_1000_calls_max: Annotated[Decimal, Field(gt=0)] | None = None
    """Most that 1,000 calls may cost. Default: no limit."""
    cheaper_percent_min: Percent | None = None
    """At least so much cheaper than sending every call to `of`. Default: no such aim."""


class BudgetRule(Section):
    """Which policy holds from a share of the budget on."""

    used_percent_from: Percent
    """The share of the tightest budget that is used."""
    policy: Literal["target", "cheapest", "best", "fixed", "latency"] = "cheapest"
    """The policy from then on."""


class EscalationConfig(Section):
    """Cheap answers first, a strong model when they do not stand a check."""

    cheap: Annotated[list[Name], Field(min_length=1, max_length=2)]
    """One model whose answer is checked, or two whose answers must agree."""
    strong: Name
    """Asked when the checks fail."""
    agreement: bool = True
    """With two cheap models: accept only when their answers agree. Otherwise the second is asked
    when the first does not stand."""
    parallel: bool = True
    """Ask both cheap models at once. Otherwise the second only when the first one's answer stands
    what needs no other answer: cheaper by a little, slower by a call."""
    agreed_percent: Percent | None = None
    """How often the cheap answers stand. Default: learned; until it is known the plan is tried."""


class PolicyConfig(Section):
    """A policy and what it needs."""

    policy: RoutingPolicy = RoutingPolicy.CHEAPEST_CAPABLE
    """How one of the models that can answer is picked."""
    target: TargetConfig = TargetConfig()
    """For `target`."""
    fixed: Name | None = None
    """For `fixed`: the model."""
    weights: dict[Name, Annotated[int, Field(ge=1, le=10_000)]] = Field(default={}, max_length=16)
    """For `weighted`: shares by model, for comparing them on live traffic."""
    classes: dict[Complexity, list[Name]] = Field(default={}, max_length=5)
    """For `classes`: the models of each class."""
    most_capable: Name | None = None
    """For `classes`: taken when no model of the class can answer. Default: that is an error."""
    budget_rules: list[BudgetRule] = Field(default=[BudgetRule(used_percent_from=80)], max_length=8)
    """For `budget`: below the first rule `target` holds."""
    escalation: EscalationConfig | None = None
    """Offer a plan that checks cheap answers. Default: none."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            RoutingPolicy.FIXED: self.fixed,
            RoutingPolicy.WEIGHTED: self.weights,
            RoutingPolicy.CLASSES: self.classes,
        }
        if not needed.get(self.policy, True):
            raise ValueError(f"policy {self.policy} needs {_NEEDED_BY[self.policy]}")
        return self


_NEEDED_BY = {
    RoutingPolicy.FIXED: "fixed",
    RoutingPolicy.WEIGHTED: "weights",
    RoutingPolicy.CLASSES: "classes",
}


class LearningConfig(Section):
    """How outcomes are learned from."""

    half_life_days: Annotated[int, Field(ge=1, le=3650)] = 60
    """After so long an outcome counts half."""
    shadow_percent: Annotated[int, Field(ge=0, le=10)] = 0
    """Share of routed-down calls to be asked of the reference model too. 1 to 3 is usual."""
    apply_proposals: bool = False
    """Let a proposed bound of the `target` policy hold at once. Default: the operator applies it
    (`spendgate route apply`)."""
    shadow_usd_per_day_max: Annotated[Decimal, Field(ge=0)] = Decimal(1)
    """Most that these calls may cost a tenant in a day, at their worst, at each gateway."""


class RoutingConfig(PolicyConfig):
    """How "auto" chooses."""

    deprecated: Literal["warn", "avoid"] = "warn"
    """What a model's deprecate_date does from that day on: `warn` says so with each decision,
    `avoid` also leaves the model out while another can answer."""

    features: dict[Name, PolicyConfig] = Field(default={}, max_length=256)
    """Other policies for some of the callers' features. Default: the same for all."""
    tenants: dict[Name, list[Name]] = Field(default={}, max_length=4096)
    """The models "auto" may take for a tenant. Default: all that are routable."""
    policies: dict[Name, PolicyConfig] = Field(default={}, max_length=64)
    """Policies that callers may ask for by name, as "auto:<name>". Beside these they may name the
    kinds themselves ("auto:best", "auto:latency"), as far as this file says what a kind needs."""
    learning: LearningConfig = LearningConfig()
    """How outcomes are learned from."""
    output_tokens_default: Tokens = 1024
    """Asked for when neither the caller nor the model sets a limit."""
    fallbacks_max: Annotated[int, Field(ge=0, le=4)] = 2
    """Models to try, by price, after the one that "auto" chose."""

    def policy_for(self, feature: str, word: str = "") -> PolicyConfig:
        """What holds for a feature, or what the caller named. A word that nobody knows changes
        nothing: policy_words() tells which are known."""
        configured = self.features.get(feature, self)
        if word in self.policies:
            return self.policies[word]
        kind = _WORDS.get(word)
        if kind is None or kind is configured.policy or not _ready(configured, kind):
            return configured
        # Cheap answers first is the operator's policy; the caller has asked for another one.
        return configured.model_copy(update={"policy": kind, "escalation": None})

    def policy_words(self, feature: str) -> tuple[str, ...]:
        """What a caller may write after "auto:"."""
        configured = self.features.get(feature, self)
        kinds = (word for word, kind in _WORDS.items() if _ready(configured, kind))
        return (*self.policies, *(word for word in kinds if word not in self.policies))


# What callers may say after "auto:", beside the names of `policies`.
_WORDS = {
    "cheap": RoutingPolicy.CHEAPEST,
    **{policy.value: policy for policy in RoutingPolicy},
}


def _ready(config: PolicyConfig, kind: RoutingPolicy) -> bool:
    """Whether the file says what the kind needs."""
    return bool(getattr(config, _NEEDED_BY[kind])) if kind in _NEEDED_BY else True
