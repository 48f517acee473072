"""What is done about providers that fail: the fleet file's part of retries, breakers, hedges."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog.shapes import EnvironmentName, Name, Percent, Seconds, Section, Url

Weight = Annotated[int, Field(ge=1, le=1_000)]


class DeploymentConfig(Section):
    """One place, or one key, that serves a provider's models."""

    name: Name | None = None
    """What metrics call it. Default: its place in the list, from 1."""
    base_url: Url | None = None
    """Where it is, up to and including /v1. Give this or base_url_env."""
    base_url_env: EnvironmentName | None = None
    """The environment variable that says where it is."""
    api_key_env: EnvironmentName | None = None
    """The environment variable that holds its key. Default: no key is sent."""
    weight: Weight = 1
    """Its share of the calls, against the other deployments'."""
    cooldown_seconds: Seconds = 30.0
    """How long it is left alone after it failed or said that it has too much to do, unless it
    says for how long itself."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.base_url is None) == (self.base_url_env is None):
            raise ValueError("give either base_url or base_url_env")
        return self


class BreakerConfig(Section):
    """When calls of a model that keeps failing at its provider are left out for a while."""

    enabled: bool = True
    """Whether they are."""
    window_seconds: Seconds = 30.0
    """Failures older than this are forgotten."""
    calls_min: Annotated[int, Field(ge=1, le=1_000)] = 5
    """With fewer calls in the window nothing is concluded."""
    failure_percent: Annotated[int, Field(ge=1, le=100)] = 50
    """This share of the window's calls failed: no calls for a while."""
    open_seconds: Seconds = 5.0
    """For so long; then one call is let through to see. Doubled each time that one fails too."""
    open_seconds_max: Seconds = 60.0
    """Longest time between two such calls."""


class HedgeMode(StrEnum):
    """Who gets a second call beside a slow one."""

    NEVER = "never"
    ASKED = "asked"
    ALWAYS = "always"


class LoserCharge(StrEnum):
    """What a call that was overtaken and cancelled is booked with."""

    PROMPT = "prompt"
    NOTHING = "nothing"


class HedgeConfig(Section):
    """A second call of the same model when the first takes longer than is usual."""

    mode: HedgeMode = HedgeMode.ASKED
    """"asked": for requests whose option hedge says so. "always": unless the option says no.
    "never": for none."""
    after_percent: Annotated[int, Field(ge=50, le=99)] = 95
    """The second call begins when this share of calls like it had been answered."""
    calls_min: Annotated[int, Field(ge=5, le=1_000)] = 20
    """Before so many calls of a model were seen, nothing is hedged."""
    after_seconds_min: Seconds = 0.1
    """Never earlier than this."""
    loser_charge: LoserCharge = LoserCharge.PROMPT
    """What the slower call, which is cancelled, is booked with: its prompt as counted, for the
    provider had it; or nothing, for providers that do not bill cancelled calls."""


class TooLong(StrEnum):
    """What is done when a provider says that a prompt does not fit its model."""

    LONGER_MODEL = "longer_model"
    FIT = "fit"
    REFUSE = "refuse"


class RetryConfig(Section):
    """How a failing provider is tried again."""

    attempts_max: Annotated[int, Field(ge=1, le=10)] = 3
    """Tries of one model, the first included."""
    backoff_seconds: Seconds = 0.25
    """Wait before the second try; doubled each time, with jitter."""
    backoff_seconds_max: Seconds = 8.0
    """Longest wait between tries."""
    retry_after_seconds_max: Seconds = 30.0
    """A provider that asks for a longer wait is given up."""
    budget_percent: Percent = 10
    """Retries and hedges may add at most this share to a provider's calls; beyond it the next
    model of the chain is called at once. Counted by each gateway."""
    budget_retries_min: Annotated[int, Field(ge=0, le=10_000)] = 20
    """So many retries may come at once, whatever the traffic; the allowance fills up again at
    one a second."""
    breaker: BreakerConfig = BreakerConfig()
    """When a model that keeps failing is left alone."""
    hedge: HedgeConfig = HedgeConfig()
    """When a slow call gets a second one beside it."""
    too_long: TooLong = TooLong.LONGER_MODEL
    """When a provider says that a prompt does not fit its model: "longer_model" calls the models
    of the chain that take more; "fit" sends the same model a prompt whose beginning is left out,
    unless the caller wants all of it sent; "refuse" tells the caller."""
