"""T8: the provider fails as Envoy makes it. Policy is kept, one answer is billed, nothing more."""

import asyncio

import grpc
import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb
from spendgate.ledger.v1 import entry_pb2

from tests.e2e.house import bearer, prompt_of, until
from tests.faults.envoy import why_not

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
OK = entry_pb2.ATTEMPT_OUTCOME_OK
FAILED = entry_pb2.ATTEMPT_OUTCOME_FAILED


async def booked(house, tenant):
    """The rows of a tenant's only request, by attempt number."""
    entries = await until(lambda: house.entries(tenant))
    return sorted(entries, key=lambda entry: entry.attempt.attempt_number)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(
    ("word", "reason", "tries"),
    [
        ("busy", "RATE_LIMITED", 2),
        ("down", "SERVER_ERROR", 2),
        ("garbled", "BAD_ANSWER", 2),
        ("hanging", "TIMEOUT", 2),
    ],
)
async def test_the_next_model_answers(house, tenant, word, reason, tries):
    """429 with Retry-After, 503, garbage, silence: tried as often as allowed, then the next model
    of the chain; one answer is billed and the hold is gone."""
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**12)
    answer = await house.complete(secret, f"a question for {word}", model=f"{word}-good")
    assert answer.summary.model == "well-good"
    entries = await booked(house, tenant)
    assert [entry.attempt.outcome for entry in entries] == [FAILED] * tries + [OK]
    assert {entry.attempt.error_reason for entry in entries[:-1]} == {reason}
    settled, reserved = await house.spent(tenant, "company")
    assert reserved == 0
    assert settled == sum(entry.cost_nanos for entry in entries) == answer.summary.cost_nanos
    # What a provider may have worked on is owed its prompt; what it refused is not.
    owed = {"TIMEOUT", "BAD_ANSWER"}
    assert all((entry.cost_nanos > 0) == (reason in owed) for entry in entries[:-1])


async def test_retry_after_is_obeyed(house, tenant):
    """Between both tries lies what the provider asked for, not our own backoff of 10 ms."""
    secret = await house.key(tenant)
    await house.complete(secret, "patience", model="busy-good")
    first, second, _ = await booked(house, tenant)
    assert second.attempt.latency_ms - first.attempt.latency_ms >= 1000


async def test_a_deadline_is_kept_while_the_provider_hangs(house, tenant):
    """The caller's time is up: the call ends then, the hold is gone, the prompt is owed."""
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**12)
    call = house.gateway.Complete(
        gateway_pb.CompleteRequest(model="hanging-good", prompt=prompt_of("too late")),
        timeout=0.7,
        metadata=bearer(secret),
    )
    error = await refused(call)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED

    async def given_back():
        return (await house.spent(tenant, "company"))[1] == 0

    await until(given_back)


async def test_a_stream_that_breaks_off_is_charged_for_what_came(house, tenant):
    """The connection is reset in the middle of an answer: no second try, no free tokens."""
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**12)
    stream = house.gateway.StreamComplete(
        gateway_pb.StreamCompleteRequest(model="breaking-slow", prompt=prompt_of("and then")),
        timeout=20,
        metadata=bearer(secret),
    )
    words = []

    async def read():
        async for event in stream:
            words.append(event.delta.content)

    error = await refused(read())
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert len(words) > 3
    (entry,) = await booked(house, tenant)
    assert entry.attempt.outcome == FAILED
    assert entry.attempt.usage.output_tokens >= len(words)
    assert entry.attempt.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    assert entry.cost_nanos > 0
    assert await house.spent(tenant, "company") == (entry.cost_nanos, 0)


async def test_impossible_usage_is_counted_and_marked(house, tenant):
    """More cached tokens than were read at all: counted instead, and the row says so."""
    secret = await house.key(tenant)
    answer = await house.complete(secret, "numbers", model="well-usage-impossible")
    assert answer.summary.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    assert answer.summary.cost_nanos > 0


async def test_many_callers_of_a_shaky_provider(house, tenant):
    """A third of the calls fail at random: all callers are answered, each is billed once."""
    secret = await house.key(tenant)
    await house.budget(tenant, "company", 10**12)
    answers = await asyncio.gather(
        *(house.complete(secret, f"question {n}", model="shaky-good") for n in range(60))
    )
    assert all(a.choices[0].finish_reason == chat_pb2.FINISH_REASON_STOP for a in answers)
    entries = await house.entries(tenant)
    assert sum(entry.attempt.outcome == OK for entry in entries) == 60
    assert any(entry.attempt.outcome == FAILED for entry in entries)
    total = sum(answer.summary.cost_nanos for answer in answers)
    assert await house.spent(tenant, "company") == (total, 0)
