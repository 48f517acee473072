"""Embeddings as answers: a text is a message, its vector an answer drawn.

So what is true of calls to providers (retries, breakers, deployments, holds) and of answers that
are kept is true of embeddings too, and stands in one place.
"""

import binascii
from collections.abc import AsyncGenerator, Sequence

import orjson
from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import embed_pb2

from chassis.deadline import Deadline
from gateway.providers.embedding_port import EmbeddingCall, EmbeddingProvider
from gateway.providers.join import pieces_of
from gateway.providers.port import ProviderAnswer, ProviderCall, ProviderDelta, ProviderEnd

# Under which a prompt holds what an embedding is asked for with. No prompt of a caller's has it.
_ASKED = "spendgate.embed"


def as_prompt(
    inputs: Sequence[embed_pb2.EmbedInput], dimensions: int | None, extra_json: str
) -> chat_pb2.Prompt:
    """The prompt that stands for texts to embed."""
    asked = {"dimensions": dimensions, "extra": extra_json}
    return chat_pb2.Prompt(
        messages=[_message(each) for each in inputs],
        extra_json=orjson.dumps({_ASKED: asked}).decode(),
    )


def as_choice(index: int, vector: bytes) -> chat_pb2.Choice:
    """The answer that stands for a vector."""
    text = binascii.b2a_base64(vector, newline=False).decode()
    return chat_pb2.Choice(
        index=index,
        message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=text),
        finish_reason=chat_pb2.FINISH_REASON_STOP,
    )


def vector_of(choice: chat_pb2.Choice) -> bytes:
    """The vector that an answer stands for."""
    return binascii.a2b_base64(choice.message.content)


class EmbeddingsAsAnswers:
    """gateway.providers.port.Provider."""

    def __init__(self, embedder: EmbeddingProvider) -> None:
        self._embedder = embedder

    async def complete(self, call: ProviderCall, deadline: Deadline) -> ProviderAnswer:
        """All vectors or none. Raises: ProviderRefused, ProviderUnavailable."""
        asked = orjson.loads(call.prompt.extra_json)[_ASKED]
        inputs = [_input(message) for message in call.prompt.messages]
        wanted = EmbeddingCall(call.model, inputs, asked["dimensions"], asked["extra"])
        told = await self._embedder.embed(wanted, deadline)
        return ProviderAnswer(
            choices=[as_choice(at, vector) for at, vector in enumerate(told.vectors)],
            usage=told.usage,
            usage_impossible=False,
            response_model=told.response_model,
            response_id="",
            service_tier="",
            warnings=told.warnings,
        )

    async def stream(
        self, call: ProviderCall, deadline: Deadline
    ) -> AsyncGenerator[ProviderDelta | ProviderEnd, None]:
        """The same in pieces: all come at once. Raises like complete()."""
        told = await self.complete(call, deadline)
        for choice in told.choices:
            for delta in pieces_of(choice):
                yield ProviderDelta(delta)
        yield ProviderEnd(
            usage=told.usage,
            usage_impossible=told.usage_impossible,
            response_model=told.response_model,
            response_id="",
            service_tier="",
            warnings=told.warnings,
        )


def _message(each: embed_pb2.EmbedInput) -> chat_pb2.Message:
    # What a user typed the cache takes for the same if it is typed a little differently. A vector
    # is of one text to the byte, as the words of an assistant are.
    if each.WhichOneof("input") == "text":
        return chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, content=each.text)
    tokens = orjson.dumps({"type": "tokens", "tokens": list(each.tokens.ids)}).decode()
    part = chat_pb2.ContentPart(extra_json=tokens)
    return chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=[part])


def _input(message: chat_pb2.Message) -> embed_pb2.EmbedInput:
    if not message.parts:
        return embed_pb2.EmbedInput(text=message.content)
    ids = orjson.loads(message.parts[0].extra_json)["tokens"]
    return embed_pb2.EmbedInput(tokens=embed_pb2.TokenList(ids=ids))
