"""T7: the collector hangs or breaks off: requests do not notice, and spans flow again."""

import asyncio

import pytest

from tests.e2e.house import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ask_all(house, secret, word):
    return await asyncio.gather(
        *(house.complete(secret, f"{word} {n}", model="cheap") for n in range(20))
    )


@pytest.mark.parametrize("fault", ["hang", "cut"])
async def test_requests_go_on_and_spans_come_back(house, tenant, fault):
    """Every request is answered while it is away; traces made afterwards arrive."""
    secret = await house.key(tenant)
    getattr(house.collector, fault)()
    try:
        answers = await ask_all(house, secret, fault)
    finally:
        house.collector.mend()
    assert len({answer.summary.trace_id for answer in answers}) == 20

    async def seen():
        answer = await house.complete(secret, "is anybody there", model="cheap")
        await asyncio.sleep(0.5)
        return any(span.trace_id == answer.summary.trace_id for span in house.sink.spans)

    await until(seen, seconds_max=40)


async def test_a_service_ends_while_the_collector_hangs(house, tenant):
    """SIGTERM: it exits with 0; what it could not tell is lost, not waited for."""
    house.collector.hang()
    try:
        secret = await house.key(tenant)
        await ask_all(house, secret, "last words")
        house.children["tokenizer"].terminate()
        async with asyncio.timeout(25):
            assert await house.children["tokenizer"].wait() == 0
    finally:
        house.collector.mend()
    await house.restart("tokenizer")
    await until(lambda: _works(house, secret))


async def _works(house, secret):
    try:
        await house.complete(secret, "again", model="cheap")
    except Exception:
        return False
    return True
