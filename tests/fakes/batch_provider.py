"""A provider's batch endpoint in memory, for tests of jobs alone."""

import json

from spendgate.chat.v1 import chat_pb2

from gateway.providers.batch_port import BatchItemResult, BatchStage
from gateway.providers.port import (
    Billed,
    ProviderAnswer,
    ProviderRefused,
    ProviderUnavailable,
    Unavailability,
)

USAGE = chat_pb2.TokenUsage(input_tokens=10, output_tokens=2)


class FakeBatchProvider:
    """gateway.providers.batch_port.BatchProvider. What an item's text begins with says what becomes
    of it: "refused", "lost", anything else is answered."""

    def __init__(self):
        self.batches = {}  # id -> (name, {item: text})
        self.stage = BatchStage.ENDED
        self.cancelled = []
        # Fails after the batch was taken, so many times.
        self.lose_answers = 0
        self.fail = None

    def line(self, item_id, call):
        return (
            json.dumps({"id": item_id, "text": call.prompt.messages[-1].content}).encode() + b"\n"
        )

    async def submit(self, items, name, deadline):
        if self.fail is not None:
            raise self.fail
        told = [json.loads(line) for line in items.read_bytes().splitlines()]
        batch_id = f"up{len(self.batches)}"
        self.batches[batch_id] = (name, {each["id"]: each["text"] for each in told})
        if self.lose_answers:
            self.lose_answers -= 1
            raise ProviderUnavailable("fake", Unavailability.RESET, billed=Billed.UNKNOWN)
        return batch_id

    async def find(self, name, deadline):
        return next((i for i, (own, _) in self.batches.items() if own == name), None)

    async def look(self, batch_id, deadline):
        return BatchStage.ENDED if batch_id in self.cancelled else self.stage

    async def results(self, batch_id, deadline):
        for item_id, text in reversed(self.batches[batch_id][1].items()):
            if text.startswith("lost"):
                continue
            if text.startswith("refused"):
                yield BatchItemResult(item_id, None, ProviderRefused("fake", http_status=400))
                continue
            message = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=f"re {text}")
            choice = chat_pb2.Choice(message=message, finish_reason=chat_pb2.FINISH_REASON_STOP)
            answer = ProviderAnswer([choice], USAGE, False, "m", "r", "")
            yield BatchItemResult(item_id, answer)

    async def cancel(self, batch_id, deadline):
        self.cancelled.append(batch_id)
