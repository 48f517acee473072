"""The whole fleet with a month in its books, traces that can be read, and the console."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
from spendgate.ledger.v1 import key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.router.v1 import router_service_pb2_grpc as router_grpc

from cli.embedded.trace_server import serving_traces
from cli.embedded.trace_store import TraceStore
from tests.console.history import TENANT
from tests.console.labels import teach
from tests.e2e.house import ROOT, TOKEN, House, bearer

# What a hostile caller would name things.
MARKUP = '<img src=x onerror="document.title=1">'
XSS_MODEL = f"""
  '{MARKUP}': {{provider: upstream, routable: false, capabilities: [],
    context_window_tokens: 100000, output_tokens_max: 4096, output_tokens_default: 64,
    price: {{input_usd_per_million: "1", output_usd_per_million: "2"}}}}"""
FLEET_MORE = """
cache: {mode: semantic}
alerts: {day_usd: "1.60", request_usd: "0.25", anomaly: {usd_min: "0.20"}}
"""


class ConsoleHouse(House):
    """Signs in with `admin` or `viewer`; calls with `caller`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FLEET_MORE)
        self._more = AsyncExitStack()
        self._traces_url = ""
        self.admin = self.viewer = self.caller = ""

    async def __aenter__(self):
        doors = await self._more.enter_async_context(serving_traces(TraceStore(), TOKEN))
        self._traces_url = doors.url
        self._otlp = doors.otlp
        await super().__aenter__()
        roles = key_pb2.KEY_ROLE_ADMIN, key_pb2.KEY_ROLE_VIEWER, key_pb2.KEY_ROLE_CALLER
        names = "finance-admin", "auditor", "shop-backend"
        self.admin, self.viewer, self.caller = [
            await self._mint(name, role) for name, role in zip(names, roles, strict=True)
        ]
        async with grpc.aio.insecure_channel(self.address("router")) as channel:
            await teach(router_grpc.RouterServiceStub(channel), self._inside)
        await self._traffic()
        return self

    async def __aexit__(self, *error):
        await super().__aexit__(*error)
        await self._more.aclose()

    @property
    def console(self):
        return f"http://{self.address('http')}/console"

    async def start(self, name):
        if name == "ledger" and not (self.folder / "ledger.db").exists():
            file = self.folder / "fleet.yaml"
            file.write_text(file.read_text().replace("\n  unpriced:", XSS_MODEL + "\n  unpriced:"))
            # By a process of its own: its clock is not ours.
            booking = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.console.history", str(self.folder), cwd=ROOT
            )
            assert await booking.wait() == 0
        await super().start(name)

    def _environment(self, name):
        env = super()._environment(name)
        env["SPENDGATE_OTLP_ENDPOINT"] = self._otlp
        if name == "gateway":
            env["SPENDGATE_TRACES_URL"] = self._traces_url
            env["SPENDGATE_TRACES_FORM"] = "spendgate"
            env["SPENDGATE_IDENTITY_SECONDS_MAX"] = "0.2"
        return env

    async def _mint(self, key_id, role):
        request = ledger_pb.CreateKeyRequest(key_id=key_id, tenant=TENANT, role=role)
        response = await self.ledger.CreateKey(request, metadata=self._inside)
        return response.secret

    async def _traffic(self):
        """A few requests of today, among them a repeat, a failure and one with markup as names."""
        ask = self.complete
        for _ in range(2):
            await ask(self.caller, "Where is my order?", feature="support-chat", user="ana")
        await ask(self.caller, "Reset my password", feature="support-chat", model="strong")
        await ask(
            self.caller,
            "Say hello",
            model=MARKUP,
            feature=MARKUP,
            user=MARKUP,
            tags={"team": MARKUP},
        )

    @property
    def _inside(self):
        return bearer(TOKEN)
