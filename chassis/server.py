"""From a room's wiring to a running server, and back: signals, drain, clean-up in reverse."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar

import grpc
from google.protobuf.internal import api_implementation

from chassis import log, metrics, telemetry
from chassis.admin import admin_port
from chassis.auth import Authenticate, fleet_token
from chassis.errors import ErrorTable
from chassis.health import Health
from chassis.interceptors import Layered, LayerSettings
from chassis.listening import AddressTaken
from chassis.local import LocalService, register
from chassis.settings import ServiceSettings, SettingsError
from chassis.telemetry import Telemetry
from chassis.tls import server_credentials

_log = logging.getLogger("chassis.server")

CLEANUP_SECONDS_MAX = 10.0
METADATA_BYTES_MAX = 8 * 1024
STREAMS_MAX = 256
EXIT_SETTINGS = 78  # EX_CONFIG of sysexits.h

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
Cleanup = tuple[str, Callable[[], Awaitable[None]]]


@dataclass
class Room:
    """What a service's wiring gives to the chassis."""

    # (generated add_XServicer_to_server, servicer)
    servicers: Sequence[tuple[Callable[[Any, Any], None], Any]]
    # Full names of the services, for health.
    service_names: Sequence[str]
    errors: ErrorTable
    # Other doors than gRPC: closed, their calls under way ended, while the gRPC server drains.
    drains: list[Cleanup] = field(default_factory=list)
    # Run in reverse order once no call is under way.
    cleanups: list[Cleanup] = field(default_factory=list)
    # Default: the fleet's token.
    authenticate: Authenticate | None = None
    # Methods whose handler opens its own span under the caller's.
    own_span_methods: frozenset[str] = field(default_factory=frozenset)
    # Called on SIGHUP: read again what may change while serving. Must not block.
    reload: Callable[[], None] | None = None


@dataclass(frozen=True)
class Outfit:
    """What the chassis gives to a room's wiring."""

    health: Health
    telemetry: Telemetry


Build = Callable[[SettingsT, Outfit], Awaitable[Room]]


@dataclass(frozen=True)
class Running:
    """A server that takes calls."""

    address: str
    room: Room
    health: Health
    server: grpc.aio.Server
    # Where probes and operators look, "" when there is no such port.
    admin_address: str = ""


class UnsafeListen(Exception):
    """An address that others can reach needs a token."""

    def __init__(self, listen: str) -> None:
        super().__init__(listen)
        self.problems = [
            f"{listen} can be reached from elsewhere: set SPENDGATE_INTERNAL_TOKEN, or listen on"
            " a loopback address"
        ]


@asynccontextmanager
async def running(
    name: str,
    settings: SettingsT,
    build: Build[SettingsT],
    *,
    starts_traces: bool = False,
) -> AsyncIterator[Running]:
    """The service `name` while the block runs; drained and cleaned up at its end.

    Raises: UnsafeListen; AddressTaken; TlsUnreadable; what `build` raises.
    """
    _check_listen(settings)
    spans = telemetry.set_up(
        name, settings.otlp_endpoint, root_ratio=settings.trace_ratio if starts_traces else None
    )
    outfit = Outfit(Health(), spans)
    room = await build(settings, outfit)
    try:
        async with admin_port(settings.admin_listen, outfit.health, room.service_names) as admin:
            server, port = await _start(name, settings, room, outfit)
            host = settings.listen.rpartition(":")[0]
            _log.info("serving", extra={"address": f"{host}:{port}", "admin": admin})
            try:
                yield Running(f"{host}:{port}", room, outfit.health, server, admin)
            finally:
                await _drain(settings, outfit.health, server, room.drains)
    finally:
        await _clean_up(room.cleanups)
        await asyncio.to_thread(spans.flush)


def main(
    name: str,
    settings_class: type[SettingsT],
    build: Build[SettingsT],
    *,
    environ: Mapping[str, str] | None = None,
    starts_traces: bool = False,
) -> None:
    """Runs the service `name` until SIGTERM or SIGINT; exits 0 after a drain."""
    try:
        settings = settings_class.from_env(os.environ if environ is None else environ)
    except SettingsError as error:
        _tell_and_exit(name, error.problems)
    run(name, [Part(name, settings, build, starts_traces)])


def run(name: str, parts: Sequence["Part[Any]"]) -> None:
    """Runs services in this one process, the first to be started first, until SIGTERM or SIGINT.

    The log and the metrics are the process's: `name` and the last part's settings are theirs.
    """
    settings = parts[-1].settings
    log.set_up(f"spendgate-{name}", settings.log_level)
    for part in parts:
        _log.info("settings", extra={"part": part.name, "settings": part.settings.redacted()})
    try:
        with asyncio.Runner(loop_factory=_loop_factory(settings)) as runner:
            runner.run(_until_told(name, parts))
    except Exception as error:
        # An error that lists problems is the operator's to mend: a file, an address, a variable.
        problems = getattr(error, "problems", None)
        if problems is None:
            raise
        _tell_and_exit(name, problems)


def _loop_factory(settings: ServiceSettings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it is asked for; else asyncio's own."""
    if not settings.uvloop:
        return None
    import uvloop

    make: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return make


def _tell_and_exit(name: str, problems: Sequence[str]) -> NoReturn:
    for problem in problems:
        print(f"{name}: {problem}", file=sys.stderr)  # noqa: T201  # for people, not for the log
    sys.exit(EXIT_SETTINGS)


@dataclass(frozen=True)
class Part(Generic[SettingsT]):
    """A service to run."""

    name: str
    settings: SettingsT
    build: Build[SettingsT]
    starts_traces: bool = False


async def _until_told(name: str, parts: Sequence[Part[Any]]) -> None:
    settings = parts[-1].settings
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    kept = metrics.set_up(name, settings.metrics_listen, settings.otlp_metrics_endpoint)
    watch = asyncio.create_task(metrics.watch_loop()) if kept.provider is not None else None
    try:
        async with AsyncExitStack() as stack:
            reloads: list[Callable[[], None]] = []
            for part in parts:
                service = running(
                    part.name, part.settings, part.build, starts_traces=part.starts_traces
                )
                run = await stack.enter_async_context(service)
                reloads += [run.room.reload] if run.room.reload is not None else []
            loop.add_signal_handler(signal.SIGHUP, _reload, reloads)
            if kept.address:
                _log.info("metrics", extra={"address": kept.address})
            await told.wait()
            _log.info("told to stop")
    finally:
        if watch is not None:
            watch.cancel()
        await asyncio.to_thread(kept.stop)


def _reload(reloads: Sequence[Callable[[], None]]) -> None:
    _log.info("told to read its files again", extra={"services": len(reloads)})
    for reload in reloads:
        reload()


async def _start(
    name: str, settings: ServiceSettings, room: Room, outfit: Outfit
) -> tuple[grpc.aio.Server, int]:
    if api_implementation.Type() != "upb":
        # Pure Python recurses without a limit (CVE-2025-4565) and is far slower.
        raise RuntimeError("protobuf must run on upb")
    token = settings.internal_token
    layers = LayerSettings(
        service=name,
        errors=room.errors,
        authenticate=room.authenticate
        or fleet_token(token.get_secret_value() if token is not None else None),
        telemetry=outfit.telemetry,
        deadline_seconds_default=settings.deadline_seconds_default,
        own_span_methods=room.own_span_methods,
    )
    server = grpc.aio.server(
        options=_options(settings),
        maximum_concurrent_rpcs=settings.concurrent_calls_max,
    )
    methods: dict[str, Any] = {}
    for add, servicer in room.servicers:
        layered = Layered(server, layers)
        add(servicer, layered)
        methods |= layered.methods
    room.cleanups.append(("local", _local(room, outfit, methods)))
    # Past the layers: probes have no token, and are not worth a log line each.
    await outfit.health.open(server, room.service_names)
    try:
        if settings.tls is None:
            port = server.add_insecure_port(settings.listen)
        else:
            # A door with its own way to know callers takes them without a certificate.
            port = server.add_secure_port(
                settings.listen,
                server_credentials(settings.tls, clients_shown=room.authenticate is None),
            )
    except RuntimeError as error:
        raise AddressTaken(settings.listen, "SPENDGATE_LISTEN") from error
    await server.start()
    return server, port


def _local(room: Room, outfit: Outfit, methods: Mapping[str, Any]) -> Callable[[], Awaitable[None]]:
    """Makes the room known to its neighbours in this process; what takes that back."""
    service = LocalService(methods, room.errors, outfit.telemetry)
    forget = register(room.service_names, service)

    async def end() -> None:
        forget()

    return end


def _options(settings: ServiceSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.receive_bytes_max),
        ("grpc.max_send_message_length", settings.receive_bytes_max),
        ("grpc.max_concurrent_streams", STREAMS_MAX),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        # What the loop does not get to in time would wait in the library, for seconds.
        ("grpc.server.max_pending_requests", settings.pending_calls_max),
        ("grpc.server.max_pending_requests_hard_limit", 2 * settings.pending_calls_max),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.max_connection_age_ms", 300_000),
        ("grpc.max_connection_age_grace_ms", 30_000),
        # Few long connections make the kernel's spreading a lottery: one process a port.
        ("grpc.so_reuseport", 0),
    ]


def _check_listen(settings: ServiceSettings) -> None:
    if settings.internal_token is not None:
        return
    host = settings.listen.rpartition(":")[0].strip("[]")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host == "localhost" or settings.listen.startswith("unix:"):
        return
    raise UnsafeListen(settings.listen)


async def _drain(
    settings: ServiceSettings, health: Health, server: grpc.aio.Server, drains: Sequence[Cleanup]
) -> None:
    """NOT_SERVING first, so that callers turn away while the calls under way end."""
    await health.drain()
    await asyncio.sleep(settings.drain_notice_seconds)
    await asyncio.gather(
        server.stop(settings.drain_seconds_max),
        *(_end(name, drain, settings.drain_seconds_max) for name, drain in drains),
    )


async def _clean_up(cleanups: Sequence[Cleanup]) -> None:
    for name, cleanup in reversed(cleanups):
        await _end(name, cleanup, CLEANUP_SECONDS_MAX)


async def _end(name: str, work: Callable[[], Awaitable[None]], seconds_max: float) -> None:
    try:
        async with asyncio.timeout(seconds_max):
            await work()
    except Exception as error:
        _log.error("clean-up failed", extra={"cleanup": name, "error_type": type(error).__name__})
