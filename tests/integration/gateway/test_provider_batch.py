"""OpenAI's Batch API over a real socket, behind the batch port."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.providers.batch_port import BatchItemResult, BatchStage
from gateway.providers.http import HttpLimits, open_session
from gateway.providers.openai_batch import OpenAIBatches
from gateway.providers.port import ProviderRefused, ProviderUnavailable, Unavailability
from tests.fakes.openai_upstream import OpenAIUpstream
from tests.fakes.provider_calls import KEY, call, soon


@pytest.fixture
async def batches(upstream: OpenAIUpstream) -> AsyncIterator[OpenAIBatches]:
    async with open_session() as session:
        yield OpenAIBatches(
            name="fake",
            base_url=upstream.base_url,
            api_key=SecretStr(KEY),
            session=session,
            limits=HttpLimits(connect_seconds_max=2, idle_seconds_max=10),
            now=time.time,
        )


def written(batches: OpenAIBatches, path: Path, **items: str) -> Path:
    """A file of items: id -> model."""
    path.write_bytes(b"".join(batches.line(name, call(model)) for name, model in items.items()))
    return path


async def fetched(batches: OpenAIBatches, batch_id: str) -> dict[str, BatchItemResult]:
    async with aclosing(batches.results(batch_id, soon())) as results:
        return {result.item_id: result async for result in results}


async def test_handed_over_looked_at_fetched(
    batches: OpenAIBatches, upstream: OpenAIUpstream, tmp_path: Path
) -> None:
    """Answers with their tokens; what was refused and what was not worked on, told apart; nothing
    of the provider's words."""
    items = written(
        batches, tmp_path / "in", **{"1": "good", "2": "fail-400", "3": "expire", "4": "lost"}
    )
    batch_id = await batches.submit(items, "job-1", soon())
    assert await batches.find("job-1", soon()) == batch_id
    assert await batches.find("job-2", soon()) is None
    stages = [await batches.look(batch_id, soon()) for _ in range(2)]
    assert stages == [BatchStage.UNDER_WAY, BatchStage.ENDED]
    told = await fetched(batches, batch_id)
    assert set(told) == {"1", "2", "3"}
    answer = told["1"].answer
    assert answer is not None
    assert answer.usage is not None
    assert answer.usage.output_tokens > 0
    assert "Wie spät" in answer.choices[0].message.content
    assert isinstance(told["2"].error, ProviderRefused)
    assert (told["2"].lost, told["3"].lost) == (False, True)
    assert "canary" not in str(told["2"].error)


async def test_a_taken_batch_whose_answer_was_lost_is_found(
    batches: OpenAIBatches, upstream: OpenAIUpstream, tmp_path: Path
) -> None:
    """502 after the work was taken in: billed is unknown, and the name tells."""
    upstream.batch_desk.lose_answers = 1
    items = written(batches, tmp_path / "in", **{"1": "good"})
    with pytest.raises(ProviderUnavailable):
        await batches.submit(items, "job-1", soon())
    assert await batches.find("job-1", soon()) == "batch_up0"


async def test_refused_and_cancelled(
    batches: OpenAIBatches, upstream: OpenAIUpstream, tmp_path: Path
) -> None:
    """A batch the provider would not have; one that is ended early keeps what was done."""
    refused = await batches.submit(written(batches, tmp_path / "a", x="refuse"), "a", soon())
    assert await batches.look(refused, soon()) is BatchStage.REFUSED
    two = written(batches, tmp_path / "b", **{"1": "good", "2": "good"})
    batch_id = await batches.submit(two, "b", soon())
    await batches.cancel(batch_id, soon())
    assert await batches.look(batch_id, soon()) is BatchStage.ENDED
    told = await fetched(batches, batch_id)
    assert told["1"].answer is not None
    assert told["2"].lost
    with pytest.raises(ProviderUnavailable):
        await batches.cancel(batch_id, soon())  # HTTP 409: it has ended


async def test_a_provider_that_is_away(upstream: OpenAIUpstream, batches: OpenAIBatches) -> None:
    """CONNECT: nothing was sent."""
    await upstream.stop()
    with pytest.raises(ProviderUnavailable) as caught:
        await batches.look("batch_x", soon())
    assert caught.value.reason == Unavailability.CONNECT
