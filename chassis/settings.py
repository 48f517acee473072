"""Typed settings from SPENDGATE_* variables: unknown ones are refused, secrets never shown."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from chassis.tls import TlsFiles

PREFIX = "SPENDGATE_"
FILE_SUFFIX = "_FILE"
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@:]*):([^/@]*)@")


class SettingsError(Exception):
    """Settings that cannot be used. `problems` name variables, never their values."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def secret_of(environ: Mapping[str, str], name: str) -> str | None:
    """The secret in the variable `name`, or in the file that `name`_FILE names; None without.

    Raises: SettingsError for a file that cannot be read, or when both are set.
    """
    value, path = environ.get(name) or None, environ.get(name + FILE_SUFFIX)
    if not path:
        return value
    if value is not None:
        raise SettingsError([f"{name} and {name}{FILE_SUFFIX} are both set; set one"])
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{name}{FILE_SUFFIX}: cannot read {path}: {type(error).__name__}"
        raise SettingsError([problem]) from None


class Settings(BaseModel):
    """A frozen group of settings; the field `redis_url` is read from SPENDGATE_REDIS_URL."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # Variables with the prefix that belong to somebody else, for instance to a launcher.
    foreign: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Variable name -> field name."""
        return {PREFIX + name.upper(): name for name in cls.model_fields}

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`. An empty variable counts as absent.

        SPENDGATE_<NAME>_FILE names a file that holds the value of SPENDGATE_<NAME>: secrets are
        mounted as files, where no listing of a process's environment shows them.

        Raises: SettingsError with every problem at once.
        """
        known = cls.variables()
        problems: list[str] = []
        values: dict[str, str] = {}
        for name, value in environ.items():
            if not name.startswith(PREFIX) or name in cls.foreign or value == "":
                continue
            if name in known:
                values[known[name]] = value
                continue
            bare = name.removesuffix(FILE_SUFFIX)
            if bare != name and bare in known:
                try:
                    values[known[bare]] = secret_of(environ, bare) or ""
                except SettingsError as error:
                    problems += error.problems
                continue
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            problems.append(f"{name} is not a setting of this process{hint}")
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            for row in error.errors(include_input=False, include_url=False):
                field = ".".join(str(part) for part in row["loc"])
                problems.append(f"{PREFIX}{field.upper()}: {row['msg']}")
            raise SettingsError(problems) from None
        if problems:
            raise SettingsError(problems)
        return settings

    def redacted(self) -> dict[str, Any]:
        """The settings fit for a log: secrets starred, passwords inside URLs too."""
        shown: dict[str, Any] = {}
        for name, value in self:
            if isinstance(value, SecretStr):
                shown[name] = "**********"
            elif isinstance(value, str):
                shown[name] = _PASSWORD_IN_URL.sub(r"\1:**********@", value)
            else:
                shown[name] = str(value) if isinstance(value, Path) else value
        return shown


class ServiceSettings(Settings):
    """What every service of the fleet can be told."""

    listen: str = "127.0.0.1:0"
    """Address of the gRPC port. Port 0 takes a free one."""

    internal_token: SecretStr | None = None
    """What callers inside the fleet must show. May be absent on a loopback address only."""

    otlp_endpoint: str | None = None
    """Where spans go, host:port of an OTLP/gRPC receiver. Absent: nowhere."""

    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of requests that are traced. Decided at the gateway, kept by everyone else."""

    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """Least level that is logged."""

    drain_notice_seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """After SIGTERM: how long to go on serving while health says NOT_SERVING."""

    drain_seconds_max: Annotated[float, Field(gt=0, le=600)] = 30.0
    """After that: how long calls under way may take to end."""

    receive_bytes_max: Annotated[int, Field(ge=1024)] = 16 * 1024 * 1024
    """Largest message taken from the wire. A coalesced batch is at most 4 MiB, or one item."""

    deadline_seconds_default: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Time for a call that comes without a deadline."""

    concurrent_calls_max: Annotated[int, Field(ge=1)] = 4096
    """Calls under way at once; more are refused before work starts."""

    pending_calls_max: Annotated[int, Field(ge=1)] = 256
    """Calls that came and were not looked at yet; of more some, of twice as many all are cancelled
    by the transport, without a word why. What comes before is refused with one."""

    tls_certificate: Path | None = None
    """PEM file of this service's certificate chain: the fleet's calls are then encrypted, and
    both sides show who they are. Set all three of these, or none."""

    tls_key: Path | None = None
    """PEM file of its key."""

    tls_authority: Path | None = None
    """PEM file of who signs the fleet's certificates."""

    admin_listen: Annotated[str, Field(pattern=r"^(off|.+:\d+)$")] = "off"
    """Address of the plaintext port for probes and operators: health, reflection, channelz, no
    service of the fleet. "off" opens none."""

    metrics_listen: Annotated[str, Field(pattern=r"^(off|.+:\d+)$")] = "off"
    """Address where Prometheus finds /metrics. "off" opens none."""

    uvloop: bool = False
    """Run on uvloop, where it is installed. Off by default (docs/performance.md)."""

    otlp_metrics_endpoint: str | None = None
    """Where metrics are pushed to, host:port of an OTLP/gRPC receiver. Absent: nowhere."""

    @model_validator(mode="after")
    def _all_of_tls_or_none(self) -> Self:
        files = (self.tls_certificate, self.tls_key, self.tls_authority)
        if any(files) and not all(files):
            raise ValueError("set tls_certificate, tls_key and tls_authority, or none of them")
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """The certificate files, or None for a fleet in plaintext."""
        if not (self.tls_certificate and self.tls_key and self.tls_authority):
            return None
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_authority)
