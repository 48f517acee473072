"""A month of a shop's traffic, booked by the ledger itself under a clock that is moved along."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb
from spendgate.ledger.v1 import ledger_service_pb2_grpc as rpc

from chassis.server import running
from services.ledger.settings import LedgerSettings
from services.ledger.wiring import build
from tests.fakes.ledger_clock import SetClock

DAYS = 30
# feature -> (share of the day's requests, input tokens, output tokens, share of hits)
FEATURES = {
    "support-chat": (45, 900, 180, 0.42),
    "search": (30, 320, 60, 0.65),
    "summaries": (12, 3_800, 420, 0.08),
    "code-review": (6, 5_200, 900, 0.03),
    "triage": (14, 260, 12, 0.50),
}
MODELS = ("strong", "cheap", "cheap", "cheap", "cheap")
USERS = ("ana", "bo", "chidi", "dana", "eli", "farah")
BATCH = 200


async def book(folder: Path, fleet_file: Path, pepper: str, tenant: str, until: datetime) -> int:
    """Books DAYS days up to `until`; the number of rows. The same each time but for the ids."""
    clock = SetClock(until)
    settings = LedgerSettings(
        database_url=f"sqlite:///{folder}/ledger.db", key_pepper=pepper, config=fleet_file
    )
    count = 0
    async with (
        running("ledger", settings, partial(build, clock=clock, environ={})) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        stub = rpc.LedgerServiceStub(channel)
        for moment, items in _days(tenant, until):
            clock.set(moment)
            for start in range(0, len(items), BATCH):
                request = pb.RecordRequest(items=items[start : start + BATCH])
                response = await stub.Record(request)
                assert not any(result.HasField("error") for result in response.results), response
            count += len(items)
    return count


def _days(tenant: str, until: datetime) -> Iterator[tuple[datetime, list[pb.RecordItem]]]:
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
                    items.append(_item(tenant, feature, number, draw))
            yield moment, items


def _item(tenant: str, feature: str, number: int, draw: random.Random) -> pb.RecordItem:
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
            tenant=tenant,
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


def now() -> datetime:
    return datetime.now(UTC)
