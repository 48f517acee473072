"""gateway.providers.embedding_port.EmbeddingProvider: vectors of two numbers; what came is kept."""

import struct

from spendgate.chat.v1 import chat_pb2

from gateway.providers.embedding_port import EmbeddingAnswer


class FakeEmbedder:
    def __init__(self) -> None:
        self.calls = []
        # Raised instead of an answer, once each, in order.
        self.fails = []
        self.tells_usage = True

    async def embed(self, call, deadline):
        self.calls.append(call)
        if self.fails:
            raise self.fails.pop(0)
        texts = [each.text or str(list(each.tokens.ids)) for each in call.inputs]
        usage = chat_pb2.TokenUsage(input_tokens=sum(map(len, texts)))
        return EmbeddingAnswer(
            [struct.pack("<2f", len(text), text.count("a")) for text in texts],
            usage if self.tells_usage else None,
            "",
        )
