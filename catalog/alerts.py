"""Who is told of what the money does, as an operator may write it in the fleet file."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from catalog.shapes import EnvironmentName, Percent, Seconds, Section, Url, checked_url

NANOS_PER_USD = 10**9
USD_MAX = 10**9


def _exact_usd(usd: Decimal) -> Decimal:
    nanos = usd * NANOS_PER_USD if usd.is_finite() else Decimal("NaN")
    if not (0 < nanos <= USD_MAX * NANOS_PER_USD) or nanos != nanos.to_integral_value():
        raise ValueError(f"must be above 0, at most {USD_MAX}, with nine decimals at most")
    return usd


def _not_ours(name: str) -> str:
    if name.startswith("SPENDGATE_"):
        raise ValueError("must not begin with SPENDGATE_, which is for settings")
    return name


HookVariable = Annotated[EnvironmentName, AfterValidator(_not_ours)]
Usd = Annotated[
    Decimal,
    AfterValidator(_exact_usd),
    WithJsonSchema({"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]{1,9})?$"}),
]


class AlertKind(StrEnum):
    """What an alert is about, as the ledger's contract names it."""

    REQUEST_COST = "request_cost"
    HOUR_COST = "hour_cost"
    DAY_COST = "day_cost"
    ERROR_RATE = "error_rate"
    BUDGET_USED = "budget_used"
    BUDGET_FORECAST = "budget_forecast"
    ANOMALY = "anomaly"
    BUDGET_OVERAGE = "budget_overage"
    BUDGET_BROKEN = "budget_broken"
    BUDGET_SHADOW = "budget_shadow"


class WebhookConfig(Section):
    """Someone who is told, by HTTP POST."""

    url: Url | None = None
    """Where. Give this or url_env; a URL that holds a secret, as Slack's do, belongs in url_env."""
    url_env: HookVariable | None = None
    """The environment variable of the ledger that says where."""
    secret_env: HookVariable | None = None
    """The environment variable of the ledger with the secret that bodies are signed with. Default:
    they are not signed."""
    format: Literal["json", "slack"] = "json"
    """"json": the whole alert, with a `text` for people. "slack": what Slack's incoming webhooks
    take."""
    kinds: list[AlertKind] = Field(default=list(AlertKind), min_length=1)
    """What it is told of. Default: everything."""
    tenants: list[str] = Field(default=[], max_length=1024)
    """Whose alerts. Default: everybody's."""
    timeout_seconds: Annotated[Seconds, Field(le=60)] = 10
    """Longest wait for an answer; then it is tried again."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give either url or url_env")
        return self

    def address(self, environ: Mapping[str, str]) -> str | None:
        """Where, None when its variable is not set. Raises ValueError when it is no URL."""
        if self.url is not None:
            return self.url
        url = environ.get(self.url_env or "")
        return checked_url(url) if url else None

    def wants(self, tenant: str, kind: AlertKind) -> bool:
        """Whether it is told of this."""
        return kind in self.kinds and (not self.tenants or tenant in self.tenants)


class ThresholdsConfig(Section):
    """From when on something is worth an alert. What is not set is not watched."""

    request_usd: Usd | None = None
    """A request that costs more, all its attempts together."""
    hour_usd: Usd | None = None
    """A clock hour (UTC) that costs more. Told once an hour."""
    day_usd: Usd | None = None
    """A day (UTC) that costs more. Told once a day."""
    error_percent: Percent | None = None
    """A clock hour in which more of a hundred requests fail. Told once an hour."""


class AnomalyConfig(Section):
    """When an hour is unlike the same hours of past weeks."""

    enabled: bool = True
    """Whether it is looked for."""
    weeks: Annotated[int, Field(ge=3, le=12)] = 6
    """How many past weeks are looked at. It takes three with spending before anything is told."""
    deviations: Annotated[int, Field(ge=3, le=100)] = 6
    """How many (robust) standard deviations above the median it must lie."""
    usd_min: Usd = Decimal("1")
    """And at least so much above the median."""


class AlertsConfig(ThresholdsConfig):
    """What is watched, and who is told. Alerts are kept and can be listed without any webhook."""

    error_requests_min: Annotated[int, Field(ge=1, le=10**6)] = 20
    """An hour with fewer requests has no error rate."""
    budget_percents: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default=[50, 80, 100], max_length=16
    )
    """Shares of a budget that are told once they are used, each once a window. Empty: none."""
    budget_forecast: bool = True
    """Whether it is told when a budget will be used up before its window ends."""
    anomaly: AnomalyConfig = AnomalyConfig()
    """Hours that are unlike those of past weeks."""
    tenants: dict[str, ThresholdsConfig] = Field(default={}, max_length=10_000)
    """Thresholds of one tenant; each that is set takes the place of the general one."""
    webhooks: dict[str, WebhookConfig] = Field(default={}, max_length=32)
    """Who is told, by a name of your choice."""
    give_up_seconds: Annotated[Seconds, Field(le=14 * 86_400)] = 86_400
    """How long a webhook that does not answer is tried."""

    def thresholds(self, tenant: str) -> ThresholdsConfig:
        """What holds for a tenant."""
        own = self.tenants.get(tenant)
        if own is None:
            return self
        names = ThresholdsConfig.model_fields
        general = {name: getattr(self, name) for name in names}
        told = {name: value for name in names if (value := getattr(own, name)) is not None}
        return ThresholdsConfig(**{**general, **told})

    def variables(self) -> set[str]:
        """The environment variables that the ledger needs for it, or the same with _FILE."""
        named = ((hook.url_env, hook.secret_env) for hook in self.webhooks.values())
        found = {name for pair in named for name in pair if name}
        return found | {f"{name}_FILE" for name in found}


def nanos_of(usd: Decimal) -> int:
    """Nano-USD of an amount in the file, which has no finer part."""
    return int(usd * NANOS_PER_USD)
