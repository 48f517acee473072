import pytest
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.config import ConfigError, parse_config
from catalog.fleet import Fleet
from gateway.providers.port import Billed, ProviderUnavailable, Unavailability
from gateway.saga.counted import CountedAs, counted_as
from tests.fakes.saga_house import MODELS, House

USAGE = chat_pb2.TokenUsage(
    input_tokens=10, cached_input_tokens=20, cache_write_tokens=30, output_tokens=5
)
FLEET = """
providers: {house: {base_url: "http://127.0.0.1:1/v1"}}
models:
  plain: {provider: house}
  renamed: {provider: house, upstream_model: qwen3-max, aliases: [nick]}
  priced: {provider: house, upstream_model: bot, priced_as: openai/gpt-4o}
  told: {provider: house, upstream_model: bot, priced_as: openai/gpt-4o, encoding: llama}
"""


@pytest.fixture
def house() -> House:
    made = House()
    made.services.ratio_source = tokenizer_pb.RATIO_SOURCE_PRIOR
    made.provider.script = [USAGE]
    return made


async def reports(house: House) -> list[tokenizer_pb.ReportUsageItem]:
    await house.books.drain()
    return house.services.asked["report_usage"]


async def test_the_tokenizer_hears_what_the_provider_reported(house: House) -> None:
    """All input, cached or not, with the parts of the count, the model and the request's id."""
    response = await house.complete(model="cheap")
    (item,) = await reports(house)
    assert item.reported_tokens == 60
    assert item.parts == tokenizer_pb.CountParts(latin_tokens=6, overhead_tokens=4)
    assert (item.model, item.encoding) == ("cheap", "")
    assert item.request_id == response.summary.request_id


async def test_a_stream_is_reported_too(house: House) -> None:
    """The usage at a stream's end teaches as much."""
    async for _ in house.stream(model="cheap"):
        pass
    assert len(await reports(house)) == 1


async def test_nothing_is_told_of_a_model_with_its_own_vocabulary(house: House) -> None:
    """Where the count was exact there is nothing to learn, and no hop is made."""
    house.services.ratio_source = tokenizer_pb.RATIO_SOURCE_UNSPECIFIED
    await house.complete(model="cheap")
    assert await reports(house) == []


async def test_a_model_that_the_router_chose_learns(house: House) -> None:
    """Counted as the baseline, answered by another: the parts hold for both."""
    house.services.ratio_source = tokenizer_pb.RATIO_SOURCE_UNSPECIFIED
    await house.complete(model="auto")
    (item,) = await reports(house)
    assert item.model == "cheap"


async def test_a_cache_hit_teaches_nothing(house: House) -> None:
    """No provider was asked, so nobody reported anything."""
    await house.complete(model="cheap")
    await house.complete(model="cheap")
    assert len(await reports(house)) == 1


async def test_missing_usage_teaches_nothing(house: House) -> None:
    """What was counted here for want of a report is no report."""
    house.provider.script = [None]
    await house.complete(model="cheap")
    assert await reports(house) == []


async def test_a_failed_call_teaches_nothing(house: House) -> None:
    """Only the try that was answered is told."""
    house.provider.script = [
        ProviderUnavailable("fake", Unavailability.TIMEOUT, billed=Billed.NO),
        *house.provider.script,
    ]
    await house.complete(model="cheap")
    assert len(await reports(house)) == 1


async def test_a_tokenizer_that_does_not_listen_fails_nobody(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A report that is lost is lost; the answer and the books are as they were, and no log line
    calls for anybody's attention."""
    house.services.fail["report_usage"] = ConnectionError()
    response = await house.complete(model="cheap")
    await reports(house)
    assert response.choices
    assert len(house.services.asked["settle"]) == 1
    assert caplog.records == []


@pytest.mark.parametrize("source", [tokenizer_pb.RATIO_SOURCE_PRIOR, 0])
async def test_every_answer_of_a_plan_teaches(source: int) -> None:
    """Two cheap models that did not agree and the strong one: three reports under one request's
    id. Of the one whose own vocabulary counted the prompt, none."""
    house = House("routing: {escalation: {cheap: [cheap], strong: dear}}\n")
    house.services.ratio_source = source
    checks = [router_pb.CHECK_AGREEMENT]
    house.services.plan = [(model, checks, True) for model in ("cheap", "other")]
    house.services.plan.append(("dear", [], False))
    house.provider.says = {"up-cheap": "42", "up-other": "7", "up-dear": "43"}
    await house.complete()
    found = await reports(house)
    wanted = {"cheap", "other"} | ({"dear"} if source else set())
    assert {item.model for item in found} == wanted
    assert len(found) == len(wanted)
    assert len({item.request_id for item in found}) == 1


@pytest.mark.parametrize("writer", ["", "dear"])
async def test_a_prompt_that_a_model_summed_up_is_not_reported(house: House, writer: str) -> None:
    """Reported is what was sent: the parts know the tokenizer's own summary, not a model's. The
    call for the summary is one like any other."""
    house.services.edits = tokenizer_pb.Edits(cut_from_message=1, memory="before", memory_tokens=2)
    house.provider.script = []
    context = pb.ContextOptions(policy=pb.CONTEXT_POLICY_SUMMARY, summary_model=writer)
    response = await house.complete(model="cheap", context=context)
    (item,) = await reports(house)
    assert len(house.provider.calls) == (2 if writer else 1)
    assert (item.request_id == response.summary.request_id) is not bool(writer)


@pytest.mark.parametrize(
    ("model", "counted"),
    [
        ("plain", CountedAs("plain")),
        ("renamed", CountedAs("qwen3-max")),
        ("nick", CountedAs("qwen3-max")),
        ("priced", CountedAs("gpt-4o")),
        ("told", CountedAs("bot", "llama")),
        ("a stranger", CountedAs("a stranger")),
    ],
)
def test_what_a_model_is_counted_as(model: str, counted: CountedAs) -> None:
    """What the operator says goes first, then what it is priced as, then its provider's name."""
    assert counted_as(Fleet.of(parse_config(FLEET)), model) == counted


def test_an_unknown_encoding_is_refused_with_the_file() -> None:
    """A typing error in the fleet file is found before anything is counted wrong."""
    with pytest.raises(ConfigError, match="encoding"):
        parse_config(FLEET.replace("encoding: llama", "encoding: lama"))


async def test_the_operators_encoding_reaches_the_tokenizer() -> None:
    """The prompt, and an answer without reported usage, are counted by it."""
    house = House(models=MODELS.replace("    aliases:", "    encoding: qwen\n    aliases:"))
    house.provider.script = [None]
    await house.complete(model="cheap")
    assert house.services.asked["prepare"][-1].encoding == "qwen"
    assert house.services.asked["count"][-1].encoding == "qwen"
