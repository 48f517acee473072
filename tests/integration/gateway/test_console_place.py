"""Where the console is: at the HTTP door, at a port of its own, or nowhere."""

from types import SimpleNamespace

import aiohttp
import pytest

from gateway.http.opening import open_http
from gateway.settings import GatewaySettings
from tests.fakes.console_house import FakeFleet, KeyedDoor

PLACES = {
    "tokenizer_address": "t:1",
    "cache_address": "c:1",
    "router_address": "r:1",
    "ledger_address": "l:1",
    "outbox_dir": "outbox",
}
OUTFIT = SimpleNamespace(health=SimpleNamespace(serving=True))


@pytest.mark.parametrize(
    ("http", "console", "found"),
    [
        ("127.0.0.1:0", "edge", [(200, 401)]),
        ("127.0.0.1:0", "off", [(404, 401)]),
        ("127.0.0.1:0", "127.0.0.1:0", [(404, 401), (200, 404)]),
        ("off", "127.0.0.1:0", [(200, 404)]),
        ("off", "edge", []),
    ],
)
async def test_each_door_answers_its_own(http, console, found):
    """(status of /console, status of /v1/models) at each door that is open."""
    settings = GatewaySettings(http_listen=http, console_listen=console, **PLACES)
    async with aiohttp.ClientSession() as session:
        servers = await open_http(settings, OUTFIT, KeyedDoor(), FakeFleet(), session)
        told = []
        for server in servers:
            statuses = []
            for path in ("/console", "/v1/models"):
                async with session.get(f"http://{server.address}{path}") as response:
                    statuses.append(response.status)
            told.append(tuple(statuses))
            await server.stop()
    assert told == found
