"""What the cache can be told."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from chassis.settings import ServiceSettings
from services.cache.keep import TTL_SECONDS_MAX
from services.cache.prose import CaseFolding
from services.cache.sealing import parse_keys

DAY_SECONDS = 24 * 3600

TtlSeconds = Annotated[int, Field(ge=1, le=TTL_SECONDS_MAX)]


class IndexKind(StrEnum):
    """Where neighbours are searched."""

    AUTO = "auto"
    VECTOR_SETS = "vector_sets"
    LOCAL = "local"


class CacheSettings(ServiceSettings):
    """Settings of the cache, each from SPENDGATE_<NAME>."""

    redis_url: Annotated[str, Field(pattern=r"^(redis|rediss|unix)://")]
    """Redis 8 or newer, or Valkey: redis://, rediss:// or unix://. Of a cluster: any node."""

    redis_cluster: bool = False
    """Whether redis_url names a node of a Redis Cluster."""

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

    value_keys: SecretStr | None = None
    """Encrypts what is kept, with a key of each tenant's own: id:base64 of 32 bytes, several with
    commas between. The first encrypts, all decrypt. Absent: values are readable in Redis."""

    semantic: bool = True
    """Whether prompts may have the answers of others that ask for the same. It loads models."""

    semantic_index: IndexKind = IndexKind.AUTO
    """Where neighbours are searched: vector_sets (Redis 8), local (in this process), or auto:
    vector sets where the server has them."""

    semantic_threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads that embed and verify."""

    semantic_ms_max: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Longest embedding and verifying; what takes longer is a miss."""

    wrong_hit_rate_max: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """Share of semantic hits that may be wrong, where a request names none."""

    local_index_members_max: Annotated[int, Field(ge=1, le=10_000_000)] = 200_000
    """Vectors the local index holds, about 1.5 KiB each."""

    user_entries_max: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    """Answers kept of one user in a scope at a time. 0: no limit."""

    users_min: Annotated[int, Field(ge=1, le=16)] = 1
    """Distinct users who must have brought an answer before others are served it. 1: at once."""

    answer_bytes_max: Annotated[int, Field(ge=1, le=64 * 1024 * 1024)] = 1024 * 1024
    """Largest answer that is kept."""

    ttl_exact_seconds: TtlSeconds = 7 * DAY_SECONDS
    """Time to live of the class EXACT."""

    ttl_semantic_seconds: TtlSeconds = 3600
    """Time to live of the class SEMANTIC."""

    ttl_static_seconds: TtlSeconds = 30 * DAY_SECONDS
    """Time to live of the class STATIC."""

    @field_validator("value_keys")
    @classmethod
    def _keys_can_be_read(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            parse_keys(keys.get_secret_value())
        return keys
