"""A month of a shop's traffic, booked by the ledger itself under a clock that is moved along."""

import asyncio
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from chassis.server import running
from services.ledger.settings import LedgerSettings
from services.ledger.wiring import build
from tests.fakes.ledger_clock import SetClock

TENANT = "acme"
NANOS_PER_USD = 10**9
# Id -> limit in USD, what it covers, its mode. All but "summaries", which is the same on every day
# of a month, start anew each month.
BUDGETS = {
    "acme": (60, {}, "HARD"),
    "code-review": (20, {"feature": "code-review"}, "DOWNGRADE"),
    "support-chat": (12, {"feature": "support-chat"}, "HARD"),
    "support-strong": (5, {"feature": "support-chat", "model": "strong"}, "SOFT"),
    "summaries": (6, {"feature": "summaries"}, "SOFT"),
    "each-user": (9, {"each": ["user"]}, "HARD"),
    "playground": (5, {"feature": "playground"}, "HARD"),
}
LASTING = "summaries"
DAYS = 30
# feature -> (share of the day's requests, input tokens, output tokens, share of hits)
FEATURES = {
    "support-chat": (45, 7_200, 620, 0.42),
    "search": (30, 3_400, 160, 0.65),
    "summaries": (12, 26_000, 1_900, 0.08),
    "code-review": (6, 38_000, 3_200, 0.03),
    "triage": (14, 1_900, 24, 0.50),
}
MODELS = ("strong", "cheap", "cheap", "cheap", "cheap")
USERS = ("ana", "bo", "chidi", "dana", "eli", "farah")
BATCH = 200


async def book(folder: Path, until: datetime) -> None:
    """Makes the budgets, books DAYS days up to `until`. The same each time but for the times."""
    clock = SetClock(until)
    settings = LedgerSettings(
        database_url=f"sqlite:///{folder}/ledger.db",
        key_pepper="any: no key is made here",
        config=folder / "fleet.yaml",
    )
    async with (
        running("ledger", settings, partial(build, clock=clock, environ={})) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        stub = rpc.LedgerServiceStub(channel)
        clock.set(until - timedelta(days=DAYS + 1))
        for budget in _budgets():
            await stub.CreateBudget(budget)
        for moment, items in _days(until):
            clock.set(moment)
            for start in range(0, len(items), BATCH):
                request = pb.RecordRequest(items=items[start : start + BATCH])
                response = await stub.Record(request)
                assert not any(result.HasField("error") for result in response.results), response


def _budgets() -> list[pb.CreateBudgetRequest]:
    return [
        pb.CreateBudgetRequest(
            budget_id=budget_id,
            scope=budget_pb2.BudgetScope(tenant=TENANT, **scope),
            window="BUDGET_WINDOW_LIFETIME" if budget_id == LASTING else "BUDGET_WINDOW_MONTH",
            mode=f"BUDGET_MODE_{mode}",
            limit_nanos=limit * NANOS_PER_USD,
        )
        for budget_id, (limit, scope, mode) in BUDGETS.items()
    ]


def _days(until: datetime) -> Iterator[tuple[datetime, list[pb.RecordItem]]]:
    """Six moments a day, with what is booked at each."""
    draw = random.Random(7)
    number = 0
    for back in range(DAYS, -1, -1):
        day = (until - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        weekend = 0.45 if day.weekday() >= 5 else 1.0
        for hour in (2, 8, 10, 13, 16, 20):
            moment = day.replace(hour=hour, minute=draw.randrange(5, 55))
            if moment >= until - timedelta(minutes=10):
                return
            busy = {2: 0.15, 20: 0.5}.get(hour, 1.0) * weekend * (1 + 0.35 * (DAYS - back) / DAYS)
            items = []
            for feature, (share, *_) in FEATURES.items():
                for _ in range(round(share * busy * draw.uniform(0.08, 0.14))):
                    number += 1
                    items.append(_item(feature, number, draw))
            yield moment, items


def _item(feature: str, number: int, draw: random.Random) -> pb.RecordItem:
    _, read, wrote, hits = FEATURES[feature]
    model = "strong" if feature == "code-review" else draw.choice(MODELS)
    fails = draw.random() < 0.012
    hit = not fails and draw.random() < hits
    usage = chat_pb2.TokenUsage(
        input_tokens=round(read * draw.uniform(0.6, 1.5)),
        output_tokens=0 if fails else round(wrote * draw.uniform(0.5, 1.6)),
    )
    if feature in ("support-chat", "code-review"):
        usage.cached_input_tokens = usage.input_tokens // 3
        usage.input_tokens -= usage.cached_input_tokens
    steps = []
    if hit:
        steps.append(entry_pb2.Counterfactual(cause="SAVING_CAUSE_CACHE", model=model, usage=usage))
    if model == "cheap" and not fails:
        steps.append(
            entry_pb2.Counterfactual(cause="SAVING_CAUSE_ROUTING", model="strong", usage=usage)
        )
    stamp = f"00000000-0000-4000-8000-{number:012d}"
    return pb.RecordItem(
        request_id=f"past-{number:06d}",
        attribution=entry_pb2.Attribution(
            tenant=TENANT,
            project="shop",
            user=draw.choice(USERS),
            key_id="shop-backend",
            feature=feature,
            tags={"env": draw.choice(("prod", "prod", "prod", "staging"))},
        ),
        attempt=entry_pb2.Attempt(
            entry_id=stamp,
            kind="ENTRY_KIND_CACHE_HIT" if hit else "ENTRY_KIND_CALL",
            outcome="ATTEMPT_OUTCOME_FAILED" if fails else "ATTEMPT_OUTCOME_OK",
            attempt_number=0 if hit else 1,
            model_asked="auto",
            model_used=model,
            provider="upstream",
            usage=None if hit or fails else usage,
            usage_source="USAGE_SOURCE_NONE" if hit or fails else "USAGE_SOURCE_REPORTED",
            counterfactuals=steps,
            latency_ms=round(draw.uniform(8, 30) if hit else draw.uniform(420, 2_400)),
            error_reason="HTTP_500" if fails else "",
            facts=entry_pb2.PromptFacts(
                prompt_hash=f"{feature}-{draw.randrange(40):03d}".encode().hex()[:64],
                system_hash=feature.encode().hex()[:64],
                system_tokens=read // 3,
                history_tokens=read // 4,
                new_tokens=read - read // 3 - read // 4,
                output_tokens_max=1_024,
            ),
        ),
    )


if __name__ == "__main__":
    asyncio.run(book(Path(sys.argv[1]), datetime.now(UTC)))
