"""What the cache can be told."""

from typing import Annotated

from pydantic import Field

from chassis.settings import ServiceSettings
from services.cache.keep import TTL_SECONDS_MAX
from services.cache.prose import CaseFolding

DAY_SECONDS = 24 * 3600

TtlSeconds = Annotated[int, Field(ge=1, le=TTL_SECONDS_MAX)]


class CacheSettings(ServiceSettings):
    """Settings of the cache, each from SPENDGATE_<NAME>."""

    redis_url: Annotated[str, Field(pattern=r"^(redis|rediss|unix)://")]
    """Redis 8 or newer: redis://, rediss:// or unix://."""

    redis_timeout_ms: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Longest wait for a look-up; a request then goes on without the cache."""

    redis_store_timeout_ms: Annotated[int, Field(ge=1, le=60_000)] = 500
    """Longest wait for keeping answers. No caller waits for it."""

    exact_case_folding: CaseFolding = CaseFolding.SAFE
    """How far the case of letters is ignored: off, safe or all (see prose.py)."""

    temperature_max: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Prompts that ask for a higher temperature are not cached."""

    unset_temperature: bool = True
    """Whether prompts that set no temperature are cached."""

    answer_bytes_max: Annotated[int, Field(ge=1, le=64 * 1024 * 1024)] = 1024 * 1024
    """Largest answer that is kept."""

    ttl_exact_seconds: TtlSeconds = 7 * DAY_SECONDS
    """Time to live of the class EXACT."""

    ttl_semantic_seconds: TtlSeconds = 3600
    """Time to live of the class SEMANTIC."""

    ttl_static_seconds: TtlSeconds = 30 * DAY_SECONDS
    """Time to live of the class STATIC."""
