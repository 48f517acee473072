"""Two cheap models agree, else a strong one: replayed through the running fleet, from its books.

    python -m bench.escalation ANSWERS.jsonl.gz [--prompts ROWS.jsonl.gz] [--in-turn]

A provider on loopback replays published answers: the text each model gave, as the JSON it was
asked for, and the tokens it took. The whole fleet runs as processes; every row is asked twice, of
"auto" with a plan and of the strong model. Dollars are sums of the ledger's entries; quality is
the share of right answers of whichever model's answer the caller got, over the strong model's.
Nothing about the rows is configured: whether the plan pays is for the router to find out.
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb
from spendgate.gateway.v1 import gateway_service_pb2_grpc as gateway_grpc
from spendgate.ledger.v1 import budget_pb2, entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as pb_grpc

from cli.embedded.plan import Options
from cli.embedded.supervisor import running_fleet
from services.router.training.train import rows_of

CALLERS = 8
CALL_SECONDS_MAX = 30.0
BUDGET_NANOS = 10**15
SPENT_SECONDS_MAX = 15.0
CHEAP = ("gpt-4o-mini-2024-07-18", "gemini-1.5-flash")
STRONG = "claude-3-5-sonnet-20241022"
# USD a million tokens, read and written, when the answers were published.
PRICES = {
    CHEAP[0]: ("0.15", "0.60"),
    CHEAP[1]: ("0.075", "0.30"),
    STRONG: ("3", "15"),
}
FLEET = """
providers: {{replay: {{base_url: "{address}"}}}}
models:
{models}
baseline_model: {strong}
routing:
  policy: fixed
  fixed: {strong}
  escalation: {{cheap: [{cheap}], strong: {strong}, parallel: {parallel}}}
"""
MODEL = """  {name}: {{provider: replay, context_window_tokens: 200000, output_tokens_max: 8192,
    output_tokens_default: 4096, capabilities: [],
    price: {{input_usd_per_million: "{read}", output_usd_per_million: "{written}"}}}}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One question: what is asked, and what each model answered."""

    source: str
    prompt: str
    read: int
    models: dict[str, Any]


class Replay:
    """A provider that has every answer already."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {row.prompt: row for row in rows}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        row = self._rows[body["messages"][-1]["content"]]
        given = row.models[body["model"]]
        read = given["answer"] is not None
        choice = {
            "index": 0,
            "message": {
                "role": "assistant",
                # An answer that nobody could read was cut off before its end.
                "content": json.dumps({"answer": given["answer"]}) if read else "",
            },
            "finish_reason": "stop" if read else "length",
        }
        usage = {
            "prompt_tokens": row.read,
            # No call is billed for nothing; one row's model wrote nothing at all.
            "completion_tokens": given["out_tokens"],
            "total_tokens": row.read + given["out_tokens"],
        }
        head = {"id": "replayed", "object": "chat.completion", "created": 0}
        return web.json_response(
            {**head, "model": body["model"], "choices": [choice], "usage": usage}
        )


class Bench:
    """The calls and the books."""

    def __init__(self, gateway: grpc.aio.Channel, ledger: grpc.aio.Channel, token: str) -> None:
        self._gateway = gateway_grpc.GatewayServiceStub(gateway)
        self._ledger = pb_grpc.LedgerServiceStub(ledger)
        self._inside = (("authorization", f"Bearer {token}"),)
        self.mismatched = 0

    async def key(self, tenant: str) -> str:
        """A tenant's key, and a budget that every call counts against."""
        await self._ledger.CreateBudget(
            pb.CreateBudgetRequest(
                budget_id="all",
                scope=budget_pb2.BudgetScope(tenant=tenant),
                window=budget_pb2.BUDGET_WINDOW_LIFETIME,
                limit_nanos=BUDGET_NANOS,
            ),
            metadata=self._inside,
        )
        made = await self._ledger.CreateKey(
            pb.CreateKeyRequest(key_id="bench", tenant=tenant), metadata=self._inside
        )
        return str(made.secret)

    async def ask(self, row: Row, tenant: str, secret: str, model: str) -> str:
        """The model whose answer the caller got."""
        prompt = chat_pb2.Prompt(
            messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, content=row.prompt)],
            response_format_json='{"type": "json_object"}',
        )
        response = await self._gateway.Complete(
            gateway_pb.CompleteRequest(
                model=model,
                prompt=prompt,
                options=gateway_pb.RequestOptions(
                    feature=row.source, cache_mode=gateway_pb.CACHE_MODE_OFF
                ),
            ),
            timeout=CALL_SECONDS_MAX,
            metadata=(("authorization", f"Bearer {secret}"),),
        )
        summary = response.summary
        entries = await self.entries(tenant, summary.request_id)
        self.mismatched += summary.cost_nanos != sum(each.cost_nanos for each in entries)
        return str(summary.model)

    async def entries(self, tenant: str, request_id: str = "") -> list[entry_pb2.Entry]:
        """A tenant's booked rows, all pages."""
        request = pb.ListEntriesRequest(tenant=tenant, request_id=request_id, page_size=1000)
        found: list[entry_pb2.Entry] = []
        while True:
            page = await self._ledger.ListEntries(request, metadata=self._inside)
            found += page.entries
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def budget(self, tenant: str) -> tuple[int, int]:
        """Settled and reserved, in nano-USD."""
        response = await self._ledger.GetBudget(
            pb.GetBudgetRequest(tenant=tenant, budget_id="all"), metadata=self._inside
        )
        return response.budget.settled_nanos, response.budget.reserved_nanos


async def play(bench: Bench, rows: Sequence[Row], tenant: str, model: str) -> list[str]:
    """Asks every row, a few at once, in order; the model that answered each."""
    secret = await bench.key(tenant)
    answered = [""] * len(rows)
    places = iter(range(len(rows)))

    async def caller() -> None:
        for place in places:
            answered[place] = await bench.ask(rows[place], tenant, secret, model)

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    return answered


async def measure(path: Path, prompts: Path | None, *, parallel: bool) -> dict[str, Any]:
    """The figures of every source in the file."""
    texts = {row["id"]: row["prompt"] for row in rows_of(prompts)} if prompts else {}
    rows = [
        Row(r["source"], texts.get(r["id"], r["id"]), r["in_tokens"], r["models"])
        for r in rows_of(path)
        if set(PRICES) <= set(r["models"])
    ]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spendgate-bench-")))
        address = await stack.enter_async_context(Replay(rows))
        config = folder / "spendgate.yaml"
        models = "".join(
            MODEL.format(name=name, read=read, written=written)
            for name, (read, written) in PRICES.items()
        )
        config.write_text(
            FLEET.format(
                address=address,
                models=models,
                strong=STRONG,
                cheap=", ".join(CHEAP),
                parallel=str(parallel).lower(),
            )
        )
        environ = {k: v for k, v in os.environ.items() if not k.startswith("SPENDGATE_")}
        options = Options(directory=folder / "fleet", config=config, environ=environ)
        fleet = await stack.enter_async_context(running_fleet(options))
        channel = grpc.aio.insecure_channel
        gateway = await stack.enter_async_context(channel(fleet.gateway))
        ledger = await stack.enter_async_context(channel(fleet.ledger))
        bench = Bench(gateway, ledger, fleet.internal_token)
        found: dict[str, Any] = {}
        for source in sorted({row.source for row in rows}):
            part = [row for row in rows if row.source == source]
            found[source] = await _source(bench, source, part)
        found["cost_told_unlike_booked"] = bench.mismatched
        return found


async def _source(bench: Bench, source: str, rows: Sequence[Row]) -> dict[str, Any]:
    planned = await play(bench, rows, f"{source}-planned", "auto")
    await play(bench, rows, f"{source}-strong", STRONG)
    entries = await bench.entries(f"{source}-planned")
    always = sum(each.cost_nanos for each in await bench.entries(f"{source}-strong"))
    spent = sum(each.cost_nanos for each in entries)
    settled, reserved = await bench.budget(f"{source}-planned")
    by_request = Counter(each.request_id for each in entries)
    tries = [count for count in by_request.values() if count > 1]
    right = sum(r.models[m]["right"] for r, m in zip(rows, planned, strict=True))
    best = sum(row.models[STRONG]["right"] for row in rows)
    return {
        "rows": len(rows),
        "quality_of_strong": round(right / best, 4),
        "spend_of_strong": round(spent / always, 4),
        "spent_nanos": spent,
        "strong_nanos": always,
        "attempts_booked": len(entries),
        "plans_carried_out": len(tries),
        "plans_in_the_last_hundred": sum(
            by_request[r] > 1 for r in list(dict.fromkeys(e.request_id for e in entries))[:100]
        ),
        "answered_by": dict(Counter(planned)),
        "budget_says_nanos": settled,
        "left_on_hold_nanos": reserved,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("answers", type=Path)
    parser.add_argument("--prompts", type=Path, help="rows with the prompts of the answers' ids")
    parser.add_argument("--in-turn", action="store_true", help="ask the cheap models in turn")
    chosen = parser.parse_args()
    found = asyncio.run(measure(chosen.answers, chosen.prompts, parallel=not chosen.in_turn))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
