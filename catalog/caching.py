"""When answers are served again, as an operator may write it in the fleet file."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from catalog.shapes import Name, Percent, Section

TTL_SECONDS_MAX = 90 * 24 * 3600
PPM_IN_PERCENT = 10_000

TtlSeconds = Annotated[int, Field(ge=1, le=TTL_SECONDS_MAX)]


class CacheScope(StrEnum):
    """Who shares cached answers."""

    TENANT = "tenant"
    PROJECT = "project"
    USER = "user"


class CachingMode(StrEnum):
    """What the cache may do for requests that do not say it themselves."""

    OFF = "off"
    EXACT = "exact"
    SEMANTIC = "semantic"


class TtlClassName(StrEnum):
    """How long answers stay good: the cache service gives each class its time."""

    EXACT = "exact"
    SEMANTIC = "semantic"
    STATIC = "static"


class CachingPolicy(Section):
    """How answers of a feature are cached."""

    mode: CachingMode = CachingMode.EXACT
    """off, exact (the very same prompt), or semantic (also its last message in other words)."""
    ttl_class: TtlClassName = TtlClassName.EXACT
    """How long answers are kept: exact 7 days, semantic an hour, static 30 days."""
    ttl_seconds: TtlSeconds | None = None
    """Overrides ttl_class."""
    semantic_ttl_seconds: TtlSeconds | None = None
    """For how long prompts in other words find an answer. Default: an hour."""
    temperature_max: Annotated[float, Field(ge=0, le=2)] | None = None
    """Prompts that ask for a higher temperature are not cached. Default: the cache service's
    setting, which is 0."""
    tool_calls: bool = False
    """Whether answers that ask for tools are kept: where what a tool does may be done again."""
    wrong_hit_percent_max: Annotated[Decimal, Field(gt=0, le=20, decimal_places=4)] | None = None
    """Accepted share of wrong answers among semantic hits. Default: the cache service's setting,
    which is 1."""

    shadow_percent: Percent = 0
    """How many of 100 semantic hits are asked anew in the background and compared, so that the
    feature learns; each is booked like any call. 1 to 3 teach enough."""

    @property
    def wrong_hit_ppm_max(self) -> int:
        """The accepted share in millionths; 0 where none is given."""
        return int((self.wrong_hit_percent_max or 0) * PPM_IN_PERCENT)


class CacheConfig(CachingPolicy):
    """Whether answers are served again, and to whom."""

    enabled: bool = True
    """Whether answers are cached at all."""
    scope: CacheScope = CacheScope.TENANT
    """Who shares answers. Nothing is ever shared between tenants."""
    features: dict[Name, CachingPolicy] = Field(default={}, max_length=1024)
    """What differs for a feature, by its name. What it leaves out is as for all."""

    def policy_for(self, feature: str) -> CachingPolicy:
        """The policy of a feature: its own words over those for all."""
        own = self.features.get(feature)
        if own is None:
            return self
        return self.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
