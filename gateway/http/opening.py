"""The HTTP doors on their sockets: every protocol, and the console with them or by itself."""

import time
import uuid

import aiohttp

from chassis.listening import OFF, AddressTaken
from chassis.server import Outfit
from gateway.batches.office import Office
from gateway.console.forwards import Fleet
from gateway.console.traces import Traces
from gateway.door import Door
from gateway.errors import ERRORS
from gateway.http.edge import Edge
from gateway.http.intake import EdgeLimits
from gateway.http.parts import ConsoleParts, make_console, make_edge
from gateway.http.server import HttpServer
from gateway.settings import CONSOLE_AT_EDGE, GatewaySettings


async def open_http(
    settings: GatewaySettings,
    outfit: Outfit,
    door: Door,
    services: Fleet,
    session: aiohttp.ClientSession,
    *,
    office: Office | None = None,
) -> list[HttpServer]:
    """The HTTP door and, where it has an address of its own, the console's. Without an `office`
    there are no batches.

    Raises: AddressTaken.
    """
    limits = EdgeLimits()

    def new_id() -> str:
        return uuid.uuid4().hex

    def ready() -> bool:
        return outfit.health.serving

    console = None
    if settings.console_listen != OFF:
        parts = ConsoleParts(
            services,
            _traces(settings, session),
            seconds_max=settings.console_seconds_max,
            idle_seconds_max=settings.console_idle_seconds_max,
            clock=time.monotonic,
        )
        console = make_console(door, ERRORS, limits, parts, new_id=new_id, now=time.time)
    shared = console if settings.console_listen == CONSOLE_AT_EDGE else None
    servers = []
    if settings.http_listen != OFF:
        edge = make_edge(
            door,
            ERRORS,
            limits,
            ready=ready,
            new_id=new_id,
            now=time.time,
            console=shared,
            office=office,
        )
        servers.append(
            await _listening(edge, limits, settings.http_listen, "SPENDGATE_HTTP_LISTEN")
        )
    if console is not None and shared is None:
        edge = Edge([console], ERRORS, limits, ready=ready)
        listen = settings.console_listen
        servers.append(await _listening(edge, limits, listen, "SPENDGATE_CONSOLE_LISTEN"))
    return servers


async def _listening(edge: Edge, limits: EdgeLimits, listen: str, variable: str) -> HttpServer:
    server = HttpServer(edge, limits)
    try:
        await server.start(listen)
    except OSError as error:
        raise AddressTaken(listen, variable) from error
    return server


def _traces(settings: GatewaySettings, session: aiohttp.ClientSession) -> Traces | None:
    if settings.traces_url is None:
        return None
    return Traces(settings.traces_url, settings.traces_form, settings.internal_token, session)
