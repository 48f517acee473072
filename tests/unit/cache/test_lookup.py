"""Finding and keeping answers, over a store in memory."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2

from chassis.errors import InvalidFields
from services.cache.errors import AnswerTooLarge, AnswerUnfinished, TtlInvalid
from services.cache.keep import Keep, Kept, Limits
from services.cache.leases import Leases
from services.cache.lookup import Lookup, Policy
from services.cache.quota import Quota
from services.cache.reading import Reader
from services.cache.record import Recorder
from services.cache.store import StoreUnavailable
from services.cache.tally import Tally
from services.cache.value import Codec
from tests.fakes.cache_link import FakeLink
from tests.fakes.cache_store_memory import MemoryStore

NOW_MS = 1_700_000_000_000
SCOPE = pb.Scope(tenant="acme")

MakePrompt = Callable[..., chat_pb2.Prompt]
MakeAnswer = Callable[..., pb.Answer]


class Bench:
    """Both verbs over one store in memory, at a time that stands still."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.store = MemoryStore(lambda: self.now_ms / 1000)
        self.link = FakeLink()
        self.reader = Reader(self.store, Codec())
        tally = Tally(self.link, lambda: self.now_ms)
        recorder = Recorder(tally, lambda: self.now_ms)
        tokens = map(str, itertools.count(1))
        self.lookup = Lookup(
            self.reader, Leases(self.link), recorder, Policy(), new_token=lambda: next(tokens)
        )
        self.keeper = Keep(
            self.store,
            Codec(),
            Quota(self.link, entries_max=0),
            recorder,
            Limits(answer_bytes_max=1000),
            ttl_seconds={pb.TTL_CLASS_EXACT: 100, pb.TTL_CLASS_STATIC: 1000},
            now_ms=lambda: self.now_ms,
        )

    async def find(self, prompt: chat_pb2.Prompt, **more: Any) -> pb.Finding:
        item = pb.LookupItem(**{"scope": SCOPE, "model": "m", "prompt": prompt, **more})
        (finding,) = await self.lookup.find([item])
        assert isinstance(finding, pb.Finding)
        return finding

    async def keep(self, key: str, answer: pb.Answer, **more: Any) -> Kept | Exception:
        item = pb.StoreItem(**{"scope": SCOPE, "key": key, "answer": answer, **more})
        (outcome,) = await self.keeper.keep([item])
        return outcome


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_repeat_is_served(bench: Bench, prompt: MakePrompt, answer: MakeAnswer) -> None:
    """The answer to a prompt comes back for the same prompt, with the time it was stored."""
    missed = await bench.find(prompt())
    assert missed.outcome == pb.OUTCOME_MISS
    await bench.keep(missed.key, answer())
    bench.now_ms += 5_000
    found = await bench.find(prompt("what is the capital of  france? "))
    assert found.outcome == pb.OUTCOME_EXACT
    assert found.key == missed.key
    assert found.answer == answer()
    assert found.store_time.ToMilliseconds() == NOW_MS


async def test_another_question_is_not(
    bench: Bench, prompt: MakePrompt, answer: MakeAnswer
) -> None:
    """Germany's capital is never answered with France's."""
    await bench.keep((await bench.find(prompt())).key, answer())
    other = await bench.find(prompt("What is the capital of Germany?"))
    assert other.outcome == pb.OUTCOME_MISS
    assert not other.HasField("answer")


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [
        ({}, 100),
        ({"ttl_class": pb.TTL_CLASS_EXACT}, 100),
        ({"ttl_class": pb.TTL_CLASS_STATIC}, 1000),
        ({"ttl_class": pb.TTL_CLASS_STATIC, "ttl": Duration(seconds=7)}, 7),
        ({"ttl": Duration(seconds=90 * 86_400)}, 90 * 86_400),
    ],
)
async def test_an_answer_lapses_when_it_says(
    bench: Bench, prompt: MakePrompt, answer: MakeAnswer, ttl: dict[str, Any], seconds: int
) -> None:
    """The class, or the time that overrides it, decides how long an answer is served."""
    key = (await bench.find(prompt())).key
    kept = await bench.keep(key, answer(), **ttl)
    assert isinstance(kept, Kept)
    assert kept.expire_time_ms == NOW_MS + seconds * 1000
    bench.now_ms = kept.expire_time_ms - 1
    assert (await bench.find(prompt())).outcome == pb.OUTCOME_EXACT
    bench.now_ms = kept.expire_time_ms
    assert (await bench.find(prompt())).outcome == pb.OUTCOME_MISS


async def test_variety_is_not_looked_up(bench: Bench, prompt: MakePrompt) -> None:
    """A temperature above the bound is answered without the store, and gets no key."""
    finding = await bench.find(prompt(sampling=chat_pb2.Sampling(temperature=0.7)))
    assert finding == pb.Finding(outcome=pb.OUTCOME_NOT_CACHEABLE)
    assert bench.store.round_trips == 0


async def test_a_batch_is_one_round_trip(bench: Bench, prompt: MakePrompt) -> None:
    """However many scopes and prompts a batch holds, the store is asked once."""
    items = [
        pb.LookupItem(scope=pb.Scope(tenant=f"t{n % 7}"), model="m", prompt=prompt(f"q {n}"))
        for n in range(100)
    ]
    findings = await bench.lookup.find(items)
    assert len({finding.key for finding in findings if isinstance(finding, pb.Finding)}) == 100
    assert bench.store.round_trips == 1


async def test_one_bad_item_fails_alone(bench: Bench, prompt: MakePrompt) -> None:
    """An item without a tenant is refused; its neighbours are looked up."""
    good = pb.LookupItem(scope=SCOPE, model="m", prompt=prompt())
    bad = pb.LookupItem(model="m", prompt=prompt())
    first, second, third = await bench.lookup.find([good, bad, good])
    assert isinstance(second, InvalidFields)
    assert isinstance(first, pb.Finding)
    assert first == third


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"scope": pb.Scope()}, "SCOPE_INVALID", "scope.tenant"),
        ({"scope": pb.Scope(tenant="x" * 129)}, "SCOPE_INVALID", "scope.tenant"),
        ({"scope": pb.Scope(tenant="t", user="é" * 65)}, "SCOPE_INVALID", "scope.user"),
        ({"scope": pb.Scope(tenant="t", project="x" * 129)}, "SCOPE_INVALID", "scope.project"),
        ({"model": ""}, "PROMPT_INVALID", "model"),
        ({"model": "x" * 257}, "PROMPT_INVALID", "model"),
        ({"prompt": chat_pb2.Prompt()}, "PROMPT_INVALID", "prompt.messages"),
        (
            {"prompt": chat_pb2.Prompt(messages=[chat_pb2.Message(role=3)] * 4097)},
            "PROMPT_INVALID",
            "prompt.messages",
        ),
        (
            {
                "prompt": chat_pb2.Prompt(
                    messages=[chat_pb2.Message(role=3)], tools=[chat_pb2.Tool(name="t")] * 513
                )
            },
            "PROMPT_INVALID",
            "prompt.tools",
        ),
        (
            {"prompt": chat_pb2.Prompt(messages=[chat_pb2.Message(content="x")])},
            "PROMPT_INVALID",
            "prompt.messages[0].role",
        ),
    ],
)
async def test_a_bad_look_up_names_the_field(
    bench: Bench, prompt: MakePrompt, change: dict[str, Any], reason: str, field: str
) -> None:
    """What is missing or too long is refused with its reason and the field's name."""
    item = pb.LookupItem(**{"scope": SCOPE, "model": "m", "prompt": prompt(), **change})
    (outcome,) = await bench.lookup.find([item])
    assert isinstance(outcome, InvalidFields)
    assert (outcome.reason, outcome.violations[0].field) == (reason, field)


async def test_without_a_store_a_look_up_is_bypassed(bench: Bench, prompt: MakePrompt) -> None:
    """A store that is away is no error; items that were wrong anyway still say so."""
    bench.store.away = True
    items = [
        pb.LookupItem(scope=SCOPE, model="m", prompt=prompt()),
        pb.LookupItem(model="m", prompt=prompt()),
        pb.LookupItem(
            scope=SCOPE, model="m", prompt=prompt(sampling=chat_pb2.Sampling(temperature=1))
        ),
    ]
    bypassed, invalid, variety = await bench.lookup.find(items)
    assert isinstance(bypassed, pb.Finding)
    assert bypassed.outcome == pb.OUTCOME_BYPASSED
    assert len(bypassed.key) == 64
    assert isinstance(invalid, InvalidFields)
    assert variety == pb.Finding(outcome=pb.OUTCOME_NOT_CACHEABLE)


async def test_a_rotten_value_is_a_miss_and_goes(
    bench: Bench, prompt: MakePrompt, answer: MakeAnswer
) -> None:
    """A value that cannot be read is not served and does not stay."""
    await bench.keep((await bench.find(prompt())).key, answer())
    ((where, (value, lapse)),) = bench.store.values.items()
    bench.store.values[where] = (value[:-1] + b"?", lapse)
    assert (await bench.find(prompt())).outcome == pb.OUTCOME_MISS
    await bench.reader.close()
    assert not bench.store.values


async def test_a_value_from_another_place_is_not_served(
    bench: Bench, prompt: MakePrompt, answer: MakeAnswer
) -> None:
    """Even a store that mixes up two tenants' values serves neither to the other."""
    for tenant in ("acme", "globex"):
        scope = pb.Scope(tenant=tenant)
        key = (await bench.find(prompt(), scope=scope)).key
        await bench.keep(key, answer(f"for {tenant}"), scope=scope)
    one, other = bench.store.values
    bench.store.values[one], bench.store.values[other] = (
        bench.store.values[other],
        bench.store.values[one],
    )
    assert (await bench.find(prompt())).outcome == pb.OUTCOME_MISS


async def test_a_big_batch_does_not_hold_the_loop(bench: Bench, prompt: MakePrompt) -> None:
    """Naming a large prompt happens beside the loop, which goes on turning."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    before = turns
    await bench.find(prompt("é" * 3_000_000))
    turning.cancel()
    assert turns > before + 3


def _unfinished(reason: chat_pb2.FinishReason, **message: Any) -> pb.Answer:
    made = pb.Answer(model="m")
    made.choices.add(finish_reason=reason, message=chat_pb2.Message(role=4, **message))
    return made


@pytest.mark.parametrize(
    ("bad", "finish_reason"),
    [
        (_unfinished(chat_pb2.FINISH_REASON_LENGTH, content="x"), "LENGTH"),
        (_unfinished(chat_pb2.FINISH_REASON_CONTENT_FILTER, content="x"), "CONTENT_FILTER"),
        (_unfinished(chat_pb2.FINISH_REASON_HOLD_USED_UP, content="x"), "HOLD_USED_UP"),
        (_unfinished(chat_pb2.FINISH_REASON_UNSPECIFIED, content="x"), "UNSPECIFIED"),
        (_unfinished(99, content="x"), "99"),
        (
            _unfinished(chat_pb2.FINISH_REASON_STOP, tool_calls=[chat_pb2.ToolCall(id="1")]),
            "TOOL_CALLS",
        ),
    ],
)
async def test_only_finished_answers_are_kept(
    bench: Bench, bad: pb.Answer, finish_reason: str
) -> None:
    """An answer that was cut, filtered or asks for tools is refused with how it ended."""
    outcome = await bench.keep("0" * 64, bad)
    assert isinstance(outcome, AnswerUnfinished)
    assert outcome.finish_reason == finish_reason
    assert not bench.store.values


async def test_empty_and_oversized_answers_are_refused(bench: Bench, answer: MakeAnswer) -> None:
    """An answer without words, without choices or over the limit is not kept."""
    empty = _unfinished(chat_pb2.FINISH_REASON_STOP)
    for bad in (empty, pb.Answer(model="m"), pb.Answer(choices=answer().choices)):
        outcome = await bench.keep("0" * 64, bad)
        assert isinstance(outcome, InvalidFields)
        assert outcome.reason == "ANSWER_NOT_STORABLE"
    outcome = await bench.keep("0" * 64, answer("x" * 1000))
    assert isinstance(outcome, AnswerTooLarge)
    assert outcome.answer_bytes > outcome.answer_bytes_max == 1000


@pytest.mark.parametrize("key", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n"])
async def test_a_key_that_lookup_never_gave_is_refused(
    bench: Bench, answer: MakeAnswer, key: str
) -> None:
    """Only 64 lower-case hex digits are a key."""
    outcome = await bench.keep(key, answer())
    assert isinstance(outcome, InvalidFields)
    assert outcome.reason == "KEY_INVALID"


@pytest.mark.parametrize(
    "ttl",
    [
        Duration(seconds=0, nanos=999_999_999),
        Duration(seconds=-5),
        Duration(seconds=90 * 86_400 + 1),
        Duration(seconds=90 * 86_400, nanos=1),
        Duration(seconds=10**11),
    ],
)
async def test_a_time_to_live_out_of_range_is_refused(
    bench: Bench, answer: MakeAnswer, ttl: Duration
) -> None:
    """Less than a second, more than 90 days, or negative: refused with the limit."""
    outcome = await bench.keep("0" * 64, answer(), ttl=ttl)
    assert isinstance(outcome, TtlInvalid)
    assert outcome.ttl_seconds_max == 90 * 86_400


async def test_an_unknown_class_is_refused(bench: Bench, answer: MakeAnswer) -> None:
    """A class of a newer contract is refused, not guessed."""
    outcome = await bench.keep("0" * 64, answer(), ttl_class=42)
    assert isinstance(outcome, InvalidFields)
    assert outcome.reason == "TTL_INVALID"


async def test_refusals_stay_with_their_items(bench: Bench, answer: MakeAnswer) -> None:
    """In a batch, each outcome is that of its own item."""
    items = [
        pb.StoreItem(scope=SCOPE, key="0" * 64, answer=answer()),
        pb.StoreItem(scope=SCOPE, key="bad", answer=answer()),
        pb.StoreItem(scope=SCOPE, key="1" * 64, answer=answer()),
    ]
    first, second, third = await bench.keeper.keep(items)
    assert isinstance(first, Kept)
    assert isinstance(second, InvalidFields)
    assert isinstance(third, Kept)
    bench.store.full = True
    first, second, third = await bench.keeper.keep(items)
    assert isinstance(first, StoreUnavailable)
    assert isinstance(second, InvalidFields)
    assert isinstance(third, StoreUnavailable)
