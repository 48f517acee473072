"""How fast callers may call: the fleet file's part of rate limits."""

from typing import Annotated

from pydantic import Field

from catalog.shapes import ModelName, Section

RATE_MAX = 10**8

Rate = Annotated[int, Field(ge=1, le=RATE_MAX)]


class LimitConfig(Section):
    """How fast one may call. Default: as fast as they like."""

    requests_per_minute: Rate | None = None
    """Requests a minute, let in evenly; a minute's worth may come at once."""
    tokens_per_minute: Rate | None = None
    """Tokens a minute: of the prompt, and the most that the answer may have."""
    parallel_calls_max: Rate | None = None
    """Calls under way at once."""


class LimitsConfig(Section):
    """Rate limits that hold without anybody setting them on a key."""

    per_key: LimitConfig = LimitConfig()
    """Of each virtual key; what is set on the key itself comes before."""
    per_user: LimitConfig = LimitConfig()
    """Of each user of a tenant."""
    models: dict[ModelName, LimitConfig] = Field(default={}, max_length=4096)
    """Of a model, over all callers, by its name."""
