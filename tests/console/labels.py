"""How answers turned out, told to the router: enough for a curve and a proposal."""

import asyncio
import random

from spendgate.router.v1 import router_service_pb2 as pb

from tests.console.history import TENANT

EASY = "name the colour of a ripe tomato, number {}"
HARD = "prove the theorem about prime gaps, variant {}"
COUNT = 240
BATCH = 200
# How often each model is right on (easy, hard) prompts.
RIGHT = {"strong": (0.99, 0.90), "cheap": (0.97, 0.25)}


async def teach(router, metadata):
    """Two in three prompts are easy; the cheap model is nearly as good on those."""
    draw = random.Random(3)
    items = [
        pb.RouteItem(
            tenant=TENANT,
            model="auto",
            input_tokens=100,
            text=(EASY if number % 3 else HARD).format(number),
            request_id=f"label-{number}",
        )
        for number in range(COUNT)
    ]
    await router.Route(pb.RouteRequest(items=items), metadata=metadata)
    told = [
        _outcome(number, model, "VALIDATOR", score=float(draw.random() < right[number % 3 == 0]))
        for number in range(COUNT)
        for model, right in RIGHT.items()
    ]
    used = {"status": "CALL_STATUS_OK", "input_tokens": 900, "output_tokens": 160}
    told += [
        _outcome(number, model, "CALL", latency_ms=400 + 7 * number, **used)
        for number, model in enumerate(["strong", "cheap"] * 30)
    ]
    for start in range(0, len(told), BATCH):
        await _tell(router, metadata, told[start : start + BATCH])
    async with asyncio.timeout(20):
        while not (await router.Summary(pb.SummaryRequest(tenant=TENANT), metadata=metadata)).curve:
            # A report wakes learning up; a known one changes nothing.
            await _tell(router, metadata, told[:1])
            await asyncio.sleep(0.1)


def _outcome(number, model, source, **more):
    return pb.Outcome(
        tenant=TENANT,
        request_id=f"label-{number}",
        model=model,
        source=f"OUTCOME_SOURCE_{source}",
        **more,
    )


async def _tell(router, metadata, outcomes):
    response = await router.ReportOutcome(
        pb.ReportOutcomeRequest(items=outcomes), metadata=metadata
    )
    assert not any(result.HasField("error") for result in response.results), response
