"""The whole fleet as processes on loopback, with a provider that speaks the real wire format."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as gateway_grpc
from spendgate.ledger.v1 import budget_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as ledger_grpc

from cli.embedded.children import ChildGroup
from cli.embedded.redis import RedisServer
from tests.fakes.anthropic_upstream import AnthropicUpstream
from tests.fakes.bedrock_upstream import BedrockUpstream
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.otlp_sink import OtlpSink

ROOT = Path(__file__).parents[2]
TOKEN = "the-fleets-own-token"
READY_SECONDS_MAX = 90
SERVICES = ("tokenizer", "cache", "router", "ledger")

FLEET_FILE = """
providers:
  upstream: {{base_url: "{base_url}", timeout_seconds: 5}}
  claude: {{kind: anthropic, base_url: "{claude_url}", priced_as: anthropic}}
  aws: {{kind: bedrock, base_url: "{aws_url}", priced_as: aws, region: us-east-1,
    access_key_id_env: TEST_AWS_ID, secret_access_key_env: TEST_AWS_SECRET}}
models:
  claude-haiku-4-5: {{provider: claude, routable: false}}
  claude-aws: {{provider: aws, routable: false,
    upstream_model: "us.anthropic.claude-haiku-4-5-20251001-v1:0"}}
  strong:
    provider: upstream
    upstream_model: gpt-5.4
    priced_as: openai/gpt-5.4
    capabilities: [tools, json_schema, vision]
    context_window_tokens: 200000
    output_tokens_max: 4096
    output_tokens_default: 64
  cheap:
    provider: upstream
    upstream_model: gpt-4o-mini
    priced_as: openai/gpt-4o-mini
    capabilities: [tools, json_schema]
    context_window_tokens: 128000
    output_tokens_max: 4096
    output_tokens_default: 64
  vectors:
    provider: upstream
    upstream_model: text-embedding-3-small
    priced_as: openai/text-embedding-3-small
{scripted}
  unpriced: {{provider: upstream, routable: false, context_window_tokens: 1000,
    output_tokens_max: 100, capabilities: []}}
baseline_model: strong
retry: {{attempts_max: 2, backoff_seconds: 0.01}}
"""
# Models whose name tells the upstream how to behave; never chosen by "auto".
SCRIPTED = ("fail-500", "fail-400", "hang", "usage-missing", "late", "reset-mid-stream")
SCRIPTED_LINE = """
  {name}: {{provider: upstream, routable: false, capabilities: [],
    context_window_tokens: 100000, output_tokens_max: 4096, output_tokens_default: 64,
    price: {{input_usd_per_million: "1", output_usd_per_million: "2"}}}}"""


class House:
    """Five services, Redis, a provider, a trace sink."""

    processes = (*SERVICES, "gateway")

    def __init__(
        self, folder: Path, routing: str = "", *, models: str = "", otlp_endpoint: str = ""
    ) -> None:
        """`routing` is added to the fleet file, `models` to its models. Spans go to the sink unless
        `otlp_endpoint` says otherwise."""
        self.folder = folder
        self._routing = routing
        self._models = models
        self._otlp_endpoint = otlp_endpoint
        self.upstream = OpenAIUpstream()
        self.claude = AnthropicUpstream()
        self.aws = BedrockUpstream()
        self.sink = OtlpSink()
        doors = (*SERVICES, "gateway", "http", "admin")
        self.ports = {name: free_port() for name in doors}
        self.ports |= {f"{name}-metrics": free_port() for name in (*SERVICES, "gateway")}
        self.children: dict[str, asyncio.subprocess.Process] = {}
        self._stack = AsyncExitStack()
        self._group = ChildGroup(stop_seconds=10)

    async def __aenter__(self):
        enter = self._stack.enter_async_context
        for upstream in (self.upstream, self.claude, self.aws):
            await enter(upstream)
        await enter(self.sink)
        await self.stand_before(enter)
        self.redis = await enter(RedisServer(self.folder / "redis"))
        await enter(self._group)
        self.write_fleet_file()
        for name in self.processes:
            await self.start(name)
        await asyncio.gather(*(self.ready(name) for name in self.processes))
        self._channel = await enter(grpc.aio.insecure_channel(self.address("gateway")))
        self._books = await enter(grpc.aio.insecure_channel(self.address("ledger")))
        self.gateway = gateway_grpc.GatewayServiceStub(self._channel)
        self.ledger = ledger_grpc.LedgerServiceStub(self._books)
        return self

    async def stand_before(self, enter):
        """What stands between the fleet and the world; for houses with faults."""

    async def __aexit__(self, *error):
        await self._stack.aclose()

    def write_fleet_file(self, more=""):
        """What the services read; `more` is added at its end."""
        (self.folder / "fleet.yaml").write_text(self.fleet_file() + self._routing + more)

    def fleet_file(self):
        scripted = "".join(SCRIPTED_LINE.format(name=name) for name in SCRIPTED) + self._models
        return FLEET_FILE.format(
            base_url=self.upstream.base_url,
            claude_url=self.claude.base_url,
            aws_url=self.aws.base_url,
            scripted=scripted,
        )

    def address(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    async def start(self, name):
        self.children[name] = await self._group.start(
            [sys.executable, "-m", self._module(name)],
            env=self._environment(name),
            output=self.log(name),
            cwd=ROOT,
        )

    def _module(self, name):
        return "gateway" if name == "gateway" else f"services.{name}"

    def log(self, name):
        return self.folder / f"{name}.log"

    def kill(self, name):
        self.children[name].kill()

    def freeze(self, name):
        self.children[name].send_signal(signal.SIGSTOP)

    def thaw(self, name):
        self.children[name].send_signal(signal.SIGCONT)

    async def restart(self, name):
        await self.children[name].wait()
        self._group.forget(self.children[name])
        await self.start(name)
        await self.ready(name)

    async def ready(self, name):
        async with (
            asyncio.timeout(READY_SECONDS_MAX),
            grpc.aio.insecure_channel(self.address(name)) as channel,
        ):
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                if self.children[name].returncode is not None:
                    raise AssertionError(f"{name} ended: {self.log(name).read_text()[-2000:]}")
                try:
                    answer = await stub.Check(health_pb2.HealthCheckRequest(service="readiness"))
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
                    continue
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
                await asyncio.sleep(0.05)

    def _environment(self, name):
        own = {
            "LISTEN": self.address(name),
            "INTERNAL_TOKEN": TOKEN,
            "OTLP_ENDPOINT": self._otlp_endpoint or self.sink.endpoint,
            "METRICS_LISTEN": f"127.0.0.1:{self.ports[f'{name}-metrics']}",
        }
        if name == "gateway":
            own["ADMIN_LISTEN"] = self.address("admin")
        if name in ("router", "ledger", "gateway"):
            own["CONFIG"] = str(self.folder / "fleet.yaml")
        if name == "router":
            own["OUTCOMES_FILE"] = str(self.folder / "outcomes.jsonl")
        if name == "cache":
            own["REDIS_URL"] = self.redis.url
        if name == "ledger":
            own["DATABASE_URL"] = f"sqlite:///{self.folder}/ledger.db"
            own["KEY_PEPPER"] = "a pepper of this test, long enough for anybody"
        if name == "gateway":
            own |= {f"{s.upper()}_ADDRESS": self.address(s) for s in SERVICES}
            own["HTTP_LISTEN"] = self.address("http")
            own["OUTBOX_DIR"] = str(self.folder / "outbox")
            own["SETTLE_SECONDS_MAX"] = "1"
        env = {k: v for k, v in os.environ.items() if not k.startswith("SPENDGATE_")}
        env |= {"TEST_AWS_ID": "AKIDEXAMPLE", "TEST_AWS_SECRET": "the-tests-own-secret"}
        return env | {f"SPENDGATE_{key}": value for key, value in own.items()}

    # What tests do with it.

    async def key(self, tenant, **pins):
        """A new virtual key's secret."""
        response = await self.ledger.CreateKey(
            ledger_pb.CreateKeyRequest(key_id=f"key-{tenant}-{len(pins)}", tenant=tenant, **pins),
            metadata=self._inside,
        )
        return response.secret

    async def budget(self, tenant, budget_id, limit_nanos, **scope):
        await self.ledger.CreateBudget(
            ledger_pb.CreateBudgetRequest(
                budget_id=budget_id,
                scope=budget_pb2.BudgetScope(tenant=tenant, **scope),
                window=budget_pb2.BUDGET_WINDOW_LIFETIME,
                limit_nanos=limit_nanos,
            ),
            metadata=self._inside,
        )

    async def spent(self, tenant, budget_id):
        """(settled, reserved) in nano-USD."""
        response = await self.ledger.GetBudget(
            ledger_pb.GetBudgetRequest(tenant=tenant, budget_id=budget_id), metadata=self._inside
        )
        return response.budget.settled_nanos, response.budget.reserved_nanos

    async def entries(self, tenant, request_id=""):
        response = await self.ledger.ListEntries(
            ledger_pb.ListEntriesRequest(tenant=tenant, request_id=request_id, page_size=1000),
            metadata=self._inside,
        )
        return list(response.entries)

    async def entries_page(self, tenant, token):
        """(entries, token of the next page, "" after the last)."""
        response = await self.ledger.ListEntries(
            ledger_pb.ListEntriesRequest(tenant=tenant, page_size=1000, page_token=token),
            metadata=self._inside,
        )
        return response.entries, response.next_page_token

    async def complete(self, secret, text, *, model="auto", system="", **options):
        sampling = options.pop("sampling", chat_pb2.Sampling(temperature=0))
        return await self.gateway.Complete(
            gateway_pb.CompleteRequest(
                model=model,
                prompt=prompt_of(text, system, sampling),
                options=gateway_pb.RequestOptions(**options),
            ),
            timeout=20,
            metadata=bearer(secret),
        )

    @property
    def _inside(self):
        return bearer(TOKEN)


def bearer(secret):
    return (("authorization", f"Bearer {secret}"),)


def prompt_of(text, system="", sampling=None):
    messages = [chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)]
    if system:
        messages.insert(0, chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=system))
    return chat_pb2.Prompt(messages=messages, sampling=sampling)


async def until(true, seconds_max=15.0):
    """Waits until `true()`, sync or async, is so."""
    async with asyncio.timeout(seconds_max):
        while True:
            found = true()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.05)


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
