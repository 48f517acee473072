"""What a fleet on one machine is made of: programs, settings, ports. Starts nothing."""

import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catalog.config import ConfigError, embedded_config, load_config
from catalog.schema import FleetConfig
from chassis.settings import PREFIX
from cli.embedded.folder import Folder, Secrets
from cli.embedded.local_model import ModelMissing, find_model
from cli.embedded.ports import HOST, Ports
from cli.embedded.rooms import package_of, settings_of

GRPC_PORT = 7070
HTTP_PORT = 7080
SERVICE_PORTS = {"tokenizer": 7071, "cache": 7072, "router": 7073, "ledger": 7074}
MODEL_PORT = 7090
# They hold no money and much of each request's work: in one process their calls need no wire.
TOGETHER = ("tokenizer", "cache", "router")
# The supervisor kills after its own longer wait.
DRAIN_SECONDS_MAX = 8

CONFIG_FILE = "spendgate.yaml"
LOCAL_MODEL_URL = "SPENDGATE_LOCAL_MODEL_URL"
# Read by the command line itself, never by a service.
CLI_VARIABLES = frozenset({"SPENDGATE_DIR", "SPENDGATE_KEY", "SPENDGATE_GATEWAY"})
# All that a child needs to run at all; the rest of the shell's variables may hold secrets.
PLAIN_VARIABLES = frozenset(
    """PATH HOME USER LANG LC_ALL TZ TMPDIR VIRTUAL_ENV PYTHONPATH PYTHONUTF8 PYTHONWARNINGS
    SSL_CERT_FILE SSL_CERT_DIR LD_LIBRARY_PATH DYLD_LIBRARY_PATH""".split()  # noqa: SIM905  a list in lines reads worse
)


class PlanProblem(Exception):
    """The fleet cannot be started like this. The text says why; `next_step` may help."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class Program:
    """One process. `health` is how it tells that it is well: "grpc" or "http"."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    address: str
    health: str = "grpc"


@dataclass(frozen=True, slots=True)
class Options:
    """What a fleet is started with."""

    directory: Path
    config: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    grpc_port: int = GRPC_PORT
    http_port: int = HTTP_PORT
    # Every service a process of its own, as on a cluster.
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The programs of a fleet in the order of their start, the gateway last."""

    programs: tuple[Program, ...]
    gateway: str
    http: str
    router: str
    ledger: str
    config: Path | None


def find_config(options: Options, cwd: Path) -> Path | None:
    """The fleet file: as told, else SPENDGATE_CONFIG, else spendgate.yaml here, else built in."""
    told = options.config or options.environ.get("SPENDGATE_CONFIG")
    if told:
        return Path(told).absolute()
    here = cwd / CONFIG_FILE
    return here if here.is_file() else None


def read_config(path: Path | None, environ: Mapping[str, str]) -> FleetConfig:
    """The fleet file, with every provider's key at hand. Raises PlanProblem."""
    try:
        config = embedded_config() if path is None else load_config(path)
    except ConfigError as error:
        raise PlanProblem(str(error), "mend it; check with: spendgate config check") from error
    missing = sorted(
        f"{variable} (the key of provider {name})"
        for name, whole in config.providers.items()
        for provider in whole.places()
        for variable in provider.secret_names()
        if not environ.get(variable)
    )
    if missing:
        raise PlanProblem(
            f"Set {', '.join(missing)} in the environment, or take the provider out of"
            f" {path or 'the fleet file'}."
        )
    return config


def needs_local_model(config: FleetConfig, environ: Mapping[str, str]) -> bool:
    """Whether a provider is the local model, and nobody said that it runs already."""
    places = [place for provider in config.providers.values() for place in provider.places()]
    asked = any(place.base_url_env == LOCAL_MODEL_URL for place in places)
    return asked and not environ.get(LOCAL_MODEL_URL)


def make_plan(
    options: Options,
    config_path: Path | None,
    config: FleetConfig,
    *,
    folder: Folder,
    secrets: Secrets,
    ports: Ports,
    redis_url: str,
    otlp: str,
    traces: str,
) -> Plan:
    """Every program with its port and its settings. Raises PlanProblem for unknown variables."""
    environ = options.environ
    where = {name: f"{HOST}:{ports.claim(port)}" for name, port in SERVICE_PORTS.items()}
    where["gateway"] = f"{HOST}:{ports.claim(options.grpc_port)}"
    http = f"{HOST}:{ports.claim(options.http_port)}"
    ours = {
        "SPENDGATE_INTERNAL_TOKEN": secrets.internal_token,
        "SPENDGATE_KEY_PEPPER": environ.get("SPENDGATE_KEY_PEPPER") or secrets.key_pepper,
        "SPENDGATE_REDIS_URL": redis_url,
        "SPENDGATE_DATABASE_URL": environ.get("SPENDGATE_DATABASE_URL") or folder.database_url,
        "SPENDGATE_OUTBOX_DIR": environ.get("SPENDGATE_OUTBOX_DIR") or str(folder.outbox),
        "SPENDGATE_BATCH_DIR": environ.get("SPENDGATE_BATCH_DIR") or str(folder.batches),
        "SPENDGATE_OUTCOMES_FILE": environ.get("SPENDGATE_OUTCOMES_FILE") or str(folder.outcomes),
        "SPENDGATE_RATIOS_DIR": environ.get("SPENDGATE_RATIOS_DIR") or str(folder.ratios),
        "SPENDGATE_CONFIG": str(config_path) if config_path else "",
        # The store here hands spans on to the operator's own, if there is one.
        "SPENDGATE_OTLP_ENDPOINT": otlp,
        "SPENDGATE_DRAIN_SECONDS_MAX": environ.get("SPENDGATE_DRAIN_SECONDS_MAX")
        or str(DRAIN_SECONDS_MAX),
        "SPENDGATE_HTTP_LISTEN": http,
        **_traces(environ, traces),
        **{f"SPENDGATE_{name.upper()}_ADDRESS": address for name, address in where.items()},
    }
    programs = []
    if needs_local_model(config, environ):
        model = _local_model(environ, ports.claim(MODEL_PORT))
        ours[LOCAL_MODEL_URL] = f"http://{model.address}/v1"
        programs.append(model)
    together = () if options.apart else TOGETHER
    for name in SERVICE_PORTS:
        if name not in together:
            theirs = config.alerts.variables() if name == "ledger" else set()
            programs.append(_service(name, where[name], {**environ, **ours}, theirs))
    programs.append(_gateway(where["gateway"], {**environ, **ours}, together))
    return Plan(
        programs=tuple(programs),
        gateway=where["gateway"],
        http=f"http://{http}",
        router=where["router"],
        ledger=where["ledger"],
        config=config_path,
    )


def _traces(environ: Mapping[str, str], own: str) -> dict[str, str]:
    """Where the console reads traces: as told, else where the fleet itself keeps them."""
    if environ.get("SPENDGATE_TRACES_URL") or environ.get("SPENDGATE_OTLP_ENDPOINT"):
        return {}
    return {"SPENDGATE_TRACES_URL": own, "SPENDGATE_TRACES_FORM": "spendgate"}


def _local_model(environ: Mapping[str, str], port: int) -> Program:
    try:
        find_model()
    except ModelMissing as error:
        raise PlanProblem(str(error)) from error
    return Program(
        name="local-model",
        command=(sys.executable, "-m", "cli.embedded.local_model", "--port", str(port)),
        environ=_plain(environ),
        address=f"{HOST}:{port}",
        health="http",
    )


def _service(
    name: str, address: str, environ: Mapping[str, str], named: Collection[str] = ()
) -> Program:
    """A service with its settings, and the variables that the fleet file names for it."""
    declared = settings_of(name)
    known = declared.variables().keys() | declared.foreign
    given = {key: value for key, value in environ.items() if key in known and value}
    given["SPENDGATE_LISTEN"] = address
    # Providers' keys may have any name; only the gateway calls providers.
    around = _without_settings(environ) if name == "gateway" else _plain(environ)
    around |= {each: environ[each] for each in named if environ.get(each)}
    module = package_of(name)
    return Program(name, (sys.executable, "-m", module), {**around, **given}, address)


def _gateway(address: str, environ: Mapping[str, str], together: Sequence[str]) -> Program:
    """The gateway, in one process with the services that live `together` with it."""
    if not together:
        return _service("gateway", address, environ)
    names = (*together, "gateway")
    given = dict(_without_settings(environ))
    for name in names:
        given |= _service(name, address, environ).environ
    given |= {
        place: environ[place] for name in together if (place := f"{PREFIX}{name.upper()}_ADDRESS")
    }
    return Program(
        "gateway", (sys.executable, "-m", "cli.embedded.together", *names), given, address
    )


def check_variables(environ: Mapping[str, str], config: FleetConfig) -> None:
    """Refuses SPENDGATE_* variables that no part of the fleet knows. Raises: PlanProblem."""
    known = set(CLI_VARIABLES) | {LOCAL_MODEL_URL}
    for name in (*SERVICE_PORTS, "gateway"):
        known |= settings_of(name).variables().keys()
    for provider in config.providers.values():
        for place in provider.places():
            known |= {*place.secret_names(), place.base_url_env or ""}
    known |= config.alerts.variables()
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            raise PlanProblem(f"{name} is not a setting of Spendgate.{hint}")


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name in PLAIN_VARIABLES}


def _without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
