from collections.abc import AsyncIterator
from typing import Any

import pytest
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2_grpc as pb_grpc

from chassis.channel import Link
from chassis.deadline import Deadline
from chassis.server import running
from services.tokenizer.engines.fast import load_fast
from services.tokenizer.engines.port import Checkpoint, no_checkpoint
from services.tokenizer.settings import TokenizerSettings
from services.tokenizer.wiring import SERVICE_NAME, build


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    async with running("tokenizer", TokenizerSettings(), build) as service:
        link = Link(service.address, SERVICE_NAME, None)
        yield link
        await link.close()


async def count(link: Link, *items: pb.CountItem) -> list[pb.CountResult]:
    stub = link.stub(pb_grpc.TokenizerServiceStub)
    request = pb.CountRequest(items=items)
    return list((await link.call(stub.Count, request, Deadline.after(60))).results)


def text(words: str, model: str = "gpt-4o") -> pb.CountItem:
    return pb.CountItem(model=model, text=words)


async def test_a_wrong_engine_is_told_by_health_and_log(caplog: pytest.LogCaptureFixture) -> None:
    """With an engine that counts one text wrong tiktoken counts: degraded, serving, and logged."""

    class Wrong:
        def __init__(self, name: str) -> None:
            self._right = load_fast(name)

        def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
            return self._right.count(text, checkpoint) + ("包" in text)

    async def build_on_wrong(settings: TokenizerSettings, outfit: Any) -> Any:
        return await build(settings, outfit, load_fast=Wrong)

    async with running("tokenizer", TokenizerSettings(), build_on_wrong) as service:
        state, why = service.health.parts()["fast_count"]
        assert (state, service.health.serving) == ("degraded", True)
        assert "EngineDiffers: o200k_base" in why
        told = [each for each in caplog.records if getattr(each, "part", "") == "fast_count"]
        assert [(each.levelname, getattr(each, "why", "")) for each in told] == [("WARNING", why)]
        link = Link(service.address, SERVICE_NAME, None)
        results = await count(link, text("包裹"), text("hello world"))
        await link.close()
    assert [each.count.tokens for each in results] == [load_fast("o200k_base").count("包裹"), 2]


HOSTILE = {
    "a": "a" * 4_000_000,
    "spaces": " " * 2_000_000,
    "tabs": "a" + "\t" * 1_500_000 + "b",
    "special": "<|endoftext|>" * 100_000,
    "wide blanks": "\u3000" * 1_000_000,
    "emoji": "😀" * 1_000_000,
    "lines": "\r\n" * 1_000_000,
    "marks": "e" + "\u0301" * 1_000_000,
    "digits": "1" * 4_000_000,
    "quotes": "'s" * 1_000_000,
}


async def test_hostile_texts_get_a_count(link: Link) -> None:
    """Whatever fills 4 MB, the answer is a count, and neighbours get theirs."""
    for kind, hostile in HOSTILE.items():
        results = await count(
            link, text(hostile), text("hello world"), text(hostile, "claude-opus-5")
        )
        assert [each.WhichOneof("outcome") for each in results] == ["count"] * 3, kind
        assert results[1].count.tokens == 2
        assert 0 < results[0].count.tokens <= len(hostile.encode()), kind
