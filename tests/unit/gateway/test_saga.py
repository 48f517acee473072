"""One request from the door to the books, on fakes."""

import asyncio
from contextlib import aclosing

import grpc
import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.ledger.v1 import entry_pb2

from chassis.deadline import Deadline, DeadlinePassed
from chassis.errors import InvalidFields, StatusError
from gateway.errors import ERRORS, ProviderFailed, ServiceUnavailable
from gateway.providers.port import Billed, ProviderRefused, ProviderUnavailable, Unavailability
from tests.fakes.provider import USAGE
from tests.fakes.saga_house import IDENTITY, prompt_of
from tests.fakes.services import COST_NANOS, refusal


def unavailable(reason=Unavailability.SERVER_ERROR, **kwargs):
    return ProviderUnavailable("fake", reason, billed=Billed.NO, **kwargs)


async def test_an_answer_is_counted_routed_held_called_settled_and_kept(house):
    """The whole way, in order, and the summary tells what the ledger booked."""
    response = await house.complete()
    await house.books.drain()
    assert response.choices[0].message.content == "Hello there"
    summary = response.summary
    assert (summary.source, summary.cost_nanos) == (pb.ANSWER_SOURCE_PROVIDER, COST_NANOS)
    assert summary.usage == USAGE
    assert house.services.resolutions() == {"id-2": ["settle"]}
    (settle,) = house.services.asked["settle"]
    attempt = settle.attempts[0]
    assert (attempt.usage_source, attempt.model_asked) == (entry_pb2.USAGE_SOURCE_REPORTED, "auto")
    assert (attempt.told_input_tokens, attempt.told_output_tokens) == (10, 2)
    # Routing's counterfactual is the baseline at the same tokens.
    (step,) = attempt.counterfactuals
    assert (step.cause, step.model, step.usage) == (entry_pb2.SAVING_CAUSE_ROUTING, "dear", USAGE)
    assert len(house.services.asked["store"]) == 1
    assert house.outbox.records == {}


async def test_a_repeat_is_served_and_booked_with_what_it_saved(house):
    """A hit calls nobody, holds nothing, and its chain goes cache first, then routing."""
    await house.complete()
    await house.books.drain()
    response = await house.complete()
    assert response.summary.source == pb.ANSWER_SOURCE_CACHE_EXACT
    assert response.summary.cost_nanos == 0
    assert len(house.provider.calls) == 1
    assert len(house.services.asked["reserve"]) == 1
    (record,) = house.services.asked["record"]
    assert [step.cause for step in record.attempt.counterfactuals] == [
        entry_pb2.SAVING_CAUSE_CACHE,
        entry_pb2.SAVING_CAUSE_ROUTING,
    ]


@pytest.mark.parametrize(
    ("asked", "counted"),
    [("cheap", "cheap"), ("thrifty", "cheap"), ("auto", "dear"), ("nobody", "nobody")],
)
async def test_the_prompt_is_counted_for_the_model_behind_the_name(house, asked, counted):
    """An alias counts as its model; "auto" as the baseline, before it is routed."""
    await house.complete(model=asked)
    assert house.services.asked["prepare"][0].model == counted


async def test_a_named_model_claims_no_routing_savings(house):
    """Nobody saved anything by doing what the caller said."""
    await house.complete(model="cheap")
    assert not house.services.asked["settle"][0].attempts[0].counterfactuals


@pytest.mark.parametrize("mode", [pb.CACHE_MODE_OFF, pb.CACHE_MODE_REFRESH])
async def test_the_caller_can_do_without_the_cache(house, mode):
    """OFF looks nothing up and keeps nothing; REFRESH keeps the new answer."""
    await house.complete()
    await house.books.drain()
    response = await house.complete(cache_mode=mode)
    await house.books.drain()
    assert response.summary.source == pb.ANSWER_SOURCE_PROVIDER
    assert len(house.services.asked["store"]) == (2 if mode == pb.CACHE_MODE_REFRESH else 1)


async def test_a_cache_that_is_away_fails_no_request(house):
    """Whatever keeps the cache from answering is a miss."""
    house.services.fail["lookup"] = refusal(grpc.StatusCode.UNAVAILABLE, "")
    response = await house.complete()
    assert response.summary.source == pb.ANSWER_SOURCE_PROVIDER
    assert not house.services.asked["store"]


@pytest.mark.parametrize(
    ("service", "name"), [("prepare", "tokenizer"), ("route", "router"), ("reserve", "ledger")]
)
async def test_a_service_that_is_away_is_named(house, service, name):
    """The caller learns which room did not answer; nothing was called and nothing is held."""
    house.services.fail[service] = refusal(grpc.StatusCode.UNAVAILABLE, "")
    with pytest.raises(ServiceUnavailable) as caught:
        await house.complete()
    assert caught.value.service == name
    assert house.provider.calls == []


async def test_a_refused_budget_calls_nobody_and_comes_with_its_details(house):
    """The ledger's refusal reaches the caller under the gateway's domain."""
    house.services.fail["reserve"] = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED")
    with pytest.raises(StatusError) as caught:
        await house.complete()
    status = ERRORS.to_status(caught.value)
    assert b"gateway.spendgate" in status.details[0].value
    assert b"BUDGET_EXCEEDED" in status.details[0].value
    assert house.provider.calls == []
    assert house.services.asked["release"] == []


async def test_a_failing_provider_is_tried_again_then_passed_over(house):
    """Two tries of one model, then the fallback; every try is on the books."""
    house.services.models = ["cheap", "dear"]
    house.provider.script = [unavailable(), unavailable(), USAGE]
    response = await house.complete()
    assert response.summary.model == "dear"
    tries = house.services.asked["settle"][0].attempts
    assert [(t.model_used, t.outcome, t.attempt_number) for t in tries] == [
        ("cheap", entry_pb2.ATTEMPT_OUTCOME_FAILED, 1),
        ("cheap", entry_pb2.ATTEMPT_OUTCOME_FAILED, 2),
        ("dear", entry_pb2.ATTEMPT_OUTCOME_OK, 3),
    ]


async def test_when_all_fail_the_hold_returns_in_full(house):
    """No answer, no charge: released, with the failed tries for the books."""
    house.provider.script = [unavailable(), unavailable()]
    with pytest.raises(ProviderFailed) as caught:
        await house.complete()
    await house.books.drain()
    assert caught.value.attempt_count == 2
    assert house.services.resolutions() == {"id-2": ["release"]}
    released = house.services.asked["release"][0].attempts
    assert [t.error_reason for t in released] == ["SERVER_ERROR", "SERVER_ERROR"]


async def test_what_only_the_operator_can_mend_is_not_tried_again(house):
    """A wrong provider key fails the same way each time."""
    house.provider.script = [unavailable(Unavailability.CREDENTIALS)]
    with pytest.raises(ProviderFailed):
        await house.complete()
    assert len(house.provider.calls) == 1


async def test_a_refused_request_is_not_tried_again_and_releases(house):
    """The same request would be refused again."""
    house.services.models = ["cheap", "dear"]
    house.provider.script = [ProviderRefused("fake", http_status=400)]
    with pytest.raises(ProviderRefused):
        await house.complete()
    await house.books.drain()
    assert len(house.provider.calls) == 1
    assert house.services.resolutions() == {"id-2": ["release"]}


async def test_missing_usage_is_counted_and_marked(house):
    """Never 0: what the provider does not say, the tokenizer counts."""
    house.provider.script = [None]
    response = await house.complete()
    assert response.summary.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    usage = response.summary.usage
    assert (usage.input_tokens, usage.output_tokens) == (10, 2)


async def test_usage_of_nothing_is_no_usage(house):
    """A provider that reports zeros for an answer is not believed."""
    house.provider.script = [chat_pb2.TokenUsage()]
    summary = (await house.complete()).summary
    assert summary.usage_source == entry_pb2.USAGE_SOURCE_COUNTED
    assert summary.usage.output_tokens == 2


async def test_a_chain_makes_no_more_tries_than_a_settlement_takes(house):
    """Ten models, two tries each: the sixteenth try is the last, and all are on the books."""
    house.services.models = ["cheap", "dear"] * 5
    house.provider.script = [unavailable() for _ in range(20)]
    with pytest.raises(ProviderFailed) as caught:
        await house.complete()
    await house.books.drain()
    assert caught.value.attempt_count == 16
    assert len(house.services.asked["release"][0].attempts) == 16


async def test_missing_usage_and_no_tokenizer_is_still_not_0(house):
    """The upper bound is charged when even the count fails."""
    house.provider.script = [None]
    house.services.fail["count"] = refusal(grpc.StatusCode.UNAVAILABLE, "")
    usage = (await house.complete()).summary.usage
    assert usage.output_tokens == len("Hello there")


async def test_while_the_ledger_is_away_the_outbox_carries_the_charge(house):
    """The caller gets the answer and a cost marked as pending; nothing is lost."""
    house.services.fail["settle"] = refusal(grpc.StatusCode.UNAVAILABLE, "")
    summary = (await house.complete()).summary
    assert summary.booking_pending
    assert summary.cost_nanos == 10 * 1000 + 2 * 2000
    assert summary.counterfactual_nanos == 10 * summary.cost_nanos
    assert list(house.outbox.records) == house.outbox.handed_over == [1]


async def test_nothing_is_spent_that_could_not_be_booked(house):
    """A full outbox refuses new requests before anybody is called."""
    house.outbox.full = True
    with pytest.raises(ServiceUnavailable) as caught:
        await house.complete()
    assert caught.value.service == "ledger"
    assert not house.services.asked


@pytest.mark.parametrize(
    ("prompt", "field"),
    [
        ({"extra_json": "{"}, "prompt.extra_json"),
        ({"extra_json": "[]"}, "prompt.extra_json"),
        ({"extra_json": '{"service_tier": "priority"}'}, "prompt.extra_json.service_tier"),
        ({"extra_json": '{"web_search_options": {}}'}, "prompt.extra_json.web_search_options"),
        ({"response_format_json": "{"}, "prompt.response_format_json"),
        ({"tool_choice_json": "nope"}, "prompt.tool_choice_json"),
        ({"tools": [chat_pb2.Tool(name="t", parameters_json="{")]}, "prompt.tools[0]"),
    ],
)
async def test_what_cannot_be_sent_or_priced_is_refused_first(house, prompt, field):
    """Broken JSON, and options whose price is not modelled, never reach a hold."""
    request = pb.CompleteRequest(model="auto", prompt=prompt_of("hello"))
    request.prompt.MergeFrom(chat_pb2.Prompt(**prompt))
    with pytest.raises(InvalidFields) as caught:
        await house.door.complete(request, IDENTITY, "", Deadline.after(5))
    assert any(v.field.startswith(field) for v in caught.value.violations)
    assert not house.services.asked


async def test_a_charge_is_on_disk_before_the_ledger_is_asked(house):
    """A crash between the provider's answer and the booking loses nothing."""
    house.services.gate["settle"] = asyncio.Event()
    call = asyncio.create_task(house.complete())
    while not house.services.asked["settle"]:
        await asyncio.sleep(0)
    assert len(house.outbox.records) == 1
    house.services.gate["settle"].set()
    await call
    assert house.outbox.records == {}


async def test_concurrent_equal_requests_make_one_call(house):
    """One leads; the others share its answer, booked with what that saved."""
    house.provider.gate = asyncio.Event()
    calls = [asyncio.create_task(house.complete()) for _ in range(10)]
    while not house.provider.calls:
        await asyncio.sleep(0)
    house.provider.gate.set()
    sources = [(await call).summary.source for call in calls]
    assert len(house.provider.calls) == 1
    assert sources.count(pb.ANSWER_SOURCE_PROVIDER) == 1
    assert sources.count(pb.ANSWER_SOURCE_SHARED) == 9
    kinds = {item.attempt.kind for item in house.services.asked["record"]}
    assert kinds == {entry_pb2.ENTRY_KIND_SHARED_CALL}


async def test_a_leader_that_goes_away_takes_nobody_with_it(house):
    """The first of those who waited leads the next call."""
    house.provider.gate = asyncio.Event()
    leader = asyncio.create_task(house.complete())
    while not house.provider.calls:
        await asyncio.sleep(0)
    follower = asyncio.create_task(house.complete())
    await asyncio.sleep(0.01)
    leader.cancel()
    house.provider.gate.set()
    assert (await follower).summary.source == pb.ANSWER_SOURCE_PROVIDER
    with pytest.raises(asyncio.CancelledError):
        await leader
    await house.books.drain()
    assert all(len(ways) == 1 for ways in house.services.resolutions().values())


async def test_too_little_time_is_told_as_such(house):
    """A passed deadline is no provider's failure."""
    with pytest.raises(DeadlinePassed):
        await house.complete(seconds=-1)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"feature": "x" * 129}, "options.feature"),
        ({"cost_max_nanos": 0}, "options.cost_max_nanos"),
        ({"cost_max_nanos": -5}, "options.cost_max_nanos"),
        ({"cache_mode": 99}, "options.cache_mode"),
        ({"tags": {"": "v"}}, "options.tags"),
        ({"tags": {str(n): "v" for n in range(17)}}, "options.tags"),
    ],
)
async def test_options_out_of_range_are_named(house, options, field):
    """The caller learns the field; nobody is asked anything."""
    with pytest.raises(InvalidFields) as caught:
        await house.complete(**options)
    assert [v.field for v in caught.value.violations] == [field]
    assert not house.services.asked


async def test_a_prompt_over_the_limit_is_named_and_not_sent_around(house):
    """4 MiB and a byte."""
    with pytest.raises(InvalidFields) as caught:
        await house.complete("x" * (4 * 1024 * 1024 + 1))
    assert caught.value.violations[0].field == "prompt"
    assert not house.services.asked


async def test_more_requests_than_may_be_under_way_are_shed(house):
    """Overload is refused before work starts, with a hint when to come back."""
    house.services.gate["prepare"] = asyncio.Event()
    under_way = [asyncio.create_task(house.complete(f"q{n}")) for n in range(64)]
    await asyncio.sleep(0.01)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # told by its status below
        await house.complete()
    status = ERRORS.to_status(caught.value)
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert any(d.type_url.endswith("RetryInfo") for d in status.details)
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


async def test_a_stream_brings_pieces_then_the_summary(house):
    """And is kept for the next one, who gets it as a stream too."""
    async with aclosing(house.stream()) as events:
        got = [event async for event in events]
    assert "".join(e.delta.content for e in got) == "Hello there"
    assert got[-1].summary.cost_nanos == COST_NANOS
    await house.books.drain()
    async with aclosing(house.stream()) as events:
        again = [event async for event in events]
    assert again[-1].summary.source == pb.ANSWER_SOURCE_CACHE_EXACT
    assert "".join(e.delta.content for e in again) == "Hello there"


async def test_a_caller_gone_in_mid_stream_is_charged_what_was_streamed(house):
    """The prompt and the pieces so far; peers give it all back, or bill it all."""
    async with aclosing(house.stream()) as events:
        async for event in events:
            if event.delta.content:
                break
    await house.books.drain()
    (settle,) = house.services.asked["settle"]
    (attempt,) = settle.attempts
    assert attempt.outcome == entry_pb2.ATTEMPT_OUTCOME_CANCELLED
    assert (attempt.usage.input_tokens, attempt.usage.output_tokens) == (10, 1)
    assert house.services.resolutions() == {"id-2": ["settle"]}


async def test_a_stream_that_breaks_off_is_charged_and_told(house):
    """Nothing is tried again once a piece has gone out."""
    house.provider.break_after = (1, unavailable(Unavailability.RESET))
    with pytest.raises(ProviderFailed):
        async with aclosing(house.stream()) as events:
            async for _ in events:
                pass
    await house.books.drain()
    assert len(house.provider.calls) == 1
    (settle,) = house.services.asked["settle"]
    assert settle.attempts[0].outcome == entry_pb2.ATTEMPT_OUTCOME_FAILED
    assert settle.attempts[0].usage.output_tokens == 1


async def test_a_stream_that_fails_before_its_first_piece_is_tried_again(house):
    """The caller has seen nothing yet."""
    house.provider.script = [unavailable(), USAGE]
    async with aclosing(house.stream()) as events:
        got = [event async for event in events]
    assert got[-1].summary.cost_nanos == COST_NANOS
    assert len(house.provider.calls) == 2
