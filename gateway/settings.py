"""What the gateway can be told by its environment."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings

CONSOLE_AT_EDGE = "edge"


class GatewaySettings(ServiceSettings):
    """Settings of the gateway; models and providers are in the fleet file."""

    # The built-in fleet file's base_url_env.
    foreign: ClassVar[frozenset[str]] = frozenset({"SPENDGATE_LOCAL_MODEL_URL"})

    config: Path | None = None
    """The fleet file. Default: the built-in one, with a small local model."""

    reload_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """How often it is looked whether the fleet file, or a file with a provider's key, has changed;
    then both are read again."""

    http_listen: Annotated[str, Field(pattern=r"^(off|.+:\d+)$")] = "127.0.0.1:7080"
    """Address of the HTTP edge. Port 0 takes a free one; "off" opens none."""

    console_listen: Annotated[str, Field(pattern=r"^(edge|off|.+:\d+)$")] = CONSOLE_AT_EDGE
    """Where the web console is: "edge" for /console of the HTTP edge, an address of its own, or
    "off"."""

    console_seconds_max: Annotated[float, Field(ge=60, le=7 * 86400)] = 12 * 3600.0
    """How long one stays signed in to the console."""

    console_idle_seconds_max: Annotated[float, Field(ge=60, le=86400)] = 3600.0
    """The same without any question being asked."""

    traces_url: str | None = None
    """Where the console reads a request's steps, http://host:port. Default: it shows none."""

    traces_form: Literal["jaeger", "spendgate"] = "jaeger"
    """What answers there: Jaeger's query API, or the embedded fleet's own store."""

    tokenizer_address: str
    """Where the tokenizer is, host:port or a gRPC target."""

    cache_address: str
    """Where the cache is."""

    router_address: str
    """Where the router is."""

    ledger_address: str
    """Where the ledger is."""

    outbox_dir: Path
    """Folder of what must still be booked. One gateway process a folder."""

    batch_dir: Path | None = None
    """Folder of batch jobs and files; gateways may share one. Default: "batches" beside the
    outbox."""

    requests_max: Annotated[int, Field(ge=1)] = 1024
    """Requests under way at once, those that wait for a provider too; more are refused with a
    hint when to come back. One tenant gets nine tenths of them at most."""

    work_seconds_target: Annotated[float, Field(gt=0, le=60)] = 0.1
    """What the fleet's own work on a request may take before fewer are worked on at once. What a
    provider takes does not count. Work that takes longer on an idle fleet may take twice that."""

    work_least: Annotated[int, Field(ge=1)] = 8
    """Requests that may be worked on at once however long it takes."""

    waiting_requests_max: Annotated[int, Field(ge=0)] = 128
    """Requests that wait for their turn; of more, the newest of the tenant with the most waiting
    is refused."""

    waiting_seconds_max: Annotated[float, Field(gt=0, le=60)] = 0.5
    """Longest wait for a turn; then a request is refused, with nothing done for it."""

    prompt_bytes_max: Annotated[int, Field(ge=1024)] = 4 * 1024 * 1024
    """Largest prompt, in bytes on the wire."""

    identity_seconds_max: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long a key stays known after the ledger vouched for it: a disabled key works on
    for at most this long."""

    identities_max: Annotated[int, Field(ge=1)] = 10_000
    """Keys kept known at once."""

    cache_seconds_max: Annotated[float, Field(gt=0, le=60)] = 0.25
    """Longest wait for a look-up; then the request goes on without the cache."""

    cache_semantic_seconds_max: Annotated[float, Field(gt=0, le=60)] = 0.5
    """The same for a look-up that may embed and verify."""

    cache_lease_ms: Annotated[int, Field(ge=0, le=60_000)] = 3_000
    """How long other gateways wait for one that got a lease and died. 0: no gateway waits for
    another."""

    hold_seconds_margin: Annotated[float, Field(ge=1, le=600)] = 60.0
    """A hold outlives its request's deadline by this."""

    hold_tokens_margin: Annotated[int, Field(ge=0, le=100_000)] = 64
    """Input tokens held beyond the count, for what a provider's template adds unseen."""

    settle_seconds_max: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Longest wait for the ledger to book an answered request; then the outbox carries it."""

    idempotency_seconds_max: Annotated[int, Field(ge=1, le=7 * 24 * 3600)] = 24 * 3600
    """How long an idempotency key's answer is told again."""

    book_linger_ms: Annotated[int, Field(ge=0, le=1000)] = 0
    """Answers go out once their charge is on this gateway's disk, and charges gather for so long
    before the ledger books them: fewer, larger transactions. 0: the ledger books first."""

    limits_redis_url: SecretStr | None = None
    """Redis that gateways share their rate limits in, redis://host:port/0. Default: each gateway
    keeps them by itself."""

    limits_seconds_max: Annotated[float, Field(gt=0, le=5)] = 0.25
    """Longest wait for that Redis; then this gateway counts by itself for a while."""

    audit_file: Path | None = None
    """File of the audit log, JSON lines. Default: among the service's own log lines."""

    audit_bytes_max: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    """Size at which that file is turned over."""

    audit_files_max: Annotated[int, Field(ge=1, le=1000)] = 10
    """Full files of the audit log that are kept."""

    trust_incoming_traces: bool = False
    """Keep the sampled flag of a caller's traceparent instead of deciding here."""
