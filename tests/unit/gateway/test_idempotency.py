"""Idempotency keys: sent twice, made and booked once."""

import asyncio
import dataclasses

import grpc
import pytest

from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import InvalidFields, RemoteError, StatusError
from gateway.errors import ERRORS, IdempotencyMismatch, Overloaded, ServiceUnavailable
from gateway.idempotency import once, record
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from tests.fakes.saga_house import IDENTITY, House
from tests.fakes.services import refusal

DOWN = ProviderUnavailable("fake", Unavailability.SERVER_ERROR, billed=Billed.NO)


def reason_of(error):
    return RemoteError(ERRORS.to_status(error)).reason


async def test_the_first_answer_is_told_again():
    """Marked as such, with the same numbers; nothing is asked or booked for it."""
    house = House()
    first = await house.complete(idempotency_key="k")
    again = await house.complete(idempotency_key="k")
    assert again.summary.idempotent_replay
    assert not first.summary.idempotent_replay
    again.summary.idempotent_replay = False
    assert again == first
    assert len(house.provider.calls) == len(house.services.asked["prepare"]) == 1


async def test_another_body_is_refused():
    """IDEMPOTENCY_MISMATCH, whatever of the body differs."""
    house = House()
    await house.complete("one", idempotency_key="k")
    for other in ({"text": "two"}, {"model": "dear"}, {"feature": "f"}):
        with pytest.raises(IdempotencyMismatch) as caught:
            await house.complete(**{"text": "one", **other}, idempotency_key="k")
        assert reason_of(caught.value) == "IDEMPOTENCY_MISMATCH"


async def test_callers_never_meet():
    """The same key of another caller of the tenant is another key."""
    house = House()
    await house.complete(idempotency_key="k")
    other = dataclasses.replace(IDENTITY, key_id="k9")
    assert not (
        await house.complete("x", identity=other, idempotency_key="k")
    ).summary.idempotent_replay


async def test_a_twin_waits_for_the_first():
    """Two at once: one call, one booking, both answered."""
    house = House()
    gate = house.provider.gate = asyncio.Event()
    twins = [asyncio.create_task(house.complete(idempotency_key="k")) for _ in range(3)]
    await asyncio.sleep(0.05)
    gate.set()
    answers = await asyncio.gather(*twins)
    assert len(house.provider.calls) == 1
    assert sorted(answer.summary.idempotent_replay for answer in answers) == [False, True, True]


async def test_a_failed_call_is_told_again_as_it_failed():
    """The provider was asked, so the key is used up."""
    house = House()
    house.provider.script = [DOWN, DOWN]
    told = []
    for _ in range(2):
        with pytest.raises(StatusError) as caught:
            await house.complete(idempotency_key="k")
        told.append(caught.value.status)
    assert told[0] == told[1]
    assert reason_of(caught.value) == "PROVIDER_FAILED"
    assert len(house.provider.calls) == 2  # both tries of the first request


async def test_what_was_refused_before_any_call_may_be_sent_again():
    """A budget that is full now may not be later: the key is free."""
    house = House()
    house.services.fail["reserve"] = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED")
    with pytest.raises(StatusError) as caught:
        await house.complete(idempotency_key="k")
    assert reason_of(caught.value) == "BUDGET_EXCEEDED"
    del house.services.fail["reserve"]
    assert (await house.complete(idempotency_key="k")).choices


async def test_work_goes_on_when_its_caller_is_gone():
    """Gone, or out of time: the next try finds the answer and pays for no second."""
    house = House()
    gate = house.provider.gate = asyncio.Event()
    with pytest.raises(DeadlinePassed):
        await house.complete(idempotency_key="k", seconds=0.02)
    twin = asyncio.create_task(house.complete(idempotency_key="k"))
    await asyncio.sleep(0.03)
    gate.set()
    assert (await twin).summary.idempotent_replay
    assert len(house.provider.calls) == 1


async def test_an_answer_is_told_again_as_a_stream():
    """And a stream's as a whole one: how it is delivered is not part of the body."""
    house = House()
    events = [event async for event in house.stream(idempotency_key="k")]
    again = [event async for event in house.stream(idempotency_key="k")]
    whole = await house.complete(idempotency_key="k")
    text = "".join(event.delta.content for event in again)
    assert text == "".join(event.delta.content for event in events) == "Hello there"
    assert text == whole.choices[0].message.content
    assert again[-1].summary.idempotent_replay
    assert again[-1].summary.request_id == events[-1].summary.request_id
    assert len(house.provider.calls) == 1


async def test_a_stream_that_is_left_goes_on():
    """Its first piece was seen; the key's next caller gets all of it."""
    house = House()
    events = house.stream(idempotency_key="k")
    await anext(events)
    await events.aclose()
    again = [event async for event in house.stream(idempotency_key="k")]
    assert "".join(event.delta.content for event in again) == "Hello there"
    assert len(house.provider.calls) == 1


async def test_without_the_store_nothing_is_done():
    """Whoever asks for once must not get twice: UNAVAILABLE, and other requests go on."""
    house = House()
    house.once_store.fail = refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    with pytest.raises(ServiceUnavailable) as caught:
        await house.complete(idempotency_key="k")
    assert caught.value.service == "cache"
    assert not house.provider.calls
    assert (await house.complete()).choices


async def test_an_answer_is_not_lost_with_the_store(monkeypatch):
    """Away between claim and answer: the caller gets its answer, the store gets it later."""
    monkeypatch.setattr(once, "KEEP_PAUSE_SECONDS", 0.01)
    house = House()
    gate = house.provider.gate = asyncio.Event()
    first = asyncio.create_task(house.complete(idempotency_key="k"))
    await asyncio.sleep(0.02)
    house.once_store.fail = refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    gate.set()
    assert (await first).choices
    house.once_store.fail = None
    assert (await house.complete(idempotency_key="k")).summary.idempotent_replay


async def test_an_answer_too_large_to_keep_is_not_paid_twice(monkeypatch):
    """IDEMPOTENCY_ANSWER_LOST: it was answered once, and that was charged."""
    monkeypatch.setattr(record, "ANSWER_BYTES_MAX", 10)
    house = House()
    assert (await house.complete(idempotency_key="k")).choices
    with pytest.raises(StatusError) as caught:
        await house.complete(idempotency_key="k")
    assert reason_of(caught.value) == "IDEMPOTENCY_ANSWER_LOST"
    assert len(house.provider.calls) == 1


async def test_shed_calls_keep_their_key():
    """Overload is no answer."""
    assert not record.is_kept(ERRORS.to_status(Overloaded(1)))


@pytest.mark.parametrize("key", ["k" * 129, "a\nb", "ä"])
async def test_keys_are_short_and_printable(key):
    """Refused by the field's name."""
    with pytest.raises(InvalidFields) as caught:
        await House().complete(idempotency_key=key)
    assert caught.value.violations[0].field == "options.idempotency_key"


async def test_the_waiting_has_the_callers_deadline():
    """A twin waits no longer than its own time."""
    house = House()
    house.provider.gate = asyncio.Event()
    first = asyncio.create_task(house.complete(idempotency_key="k"))
    await asyncio.sleep(0.02)
    with pytest.raises(DeadlinePassed):
        await house.complete(idempotency_key="k", seconds=0.05)
    house.provider.gate.set()
    await first
    assert Deadline.after(1).left_seconds() > 0
