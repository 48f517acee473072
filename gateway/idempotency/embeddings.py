"""Vectors as an answer that is kept for an idempotency key."""

import binascii

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import embed_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from gateway.providers.embeddings import numbers


def as_packed(request: pb.EmbedRequest) -> pb.EmbedRequest:
    """The same, with packed vectors: how they are told is not what is kept."""
    packed = pb.EmbedRequest()
    packed.CopyFrom(request)
    packed.encoding = embed_pb2.VECTOR_ENCODING_PACKED
    return packed


def as_answer(told: pb.EmbedResponse) -> pb.CompleteResponse:
    """The answer that stands for packed vectors: one choice, whose text holds all of them."""
    vectors = pb.EmbedResponse(embeddings=told.embeddings, cached_count=told.cached_count)
    text = binascii.b2a_base64(vectors.SerializeToString(), newline=False).decode()
    choice = chat_pb2.Choice(message=chat_pb2.Message(content=text))
    return pb.CompleteResponse(choices=[choice], summary=told.summary)


def as_embeddings(
    answer: pb.CompleteResponse, encoding: "embed_pb2.VectorEncoding"
) -> pb.EmbedResponse:
    """What stands in an answer of as_answer(), in the encoding that is asked for now."""
    told = pb.EmbedResponse.FromString(binascii.a2b_base64(answer.choices[0].message.content))
    told.summary.CopyFrom(answer.summary)
    if encoding != embed_pb2.VECTOR_ENCODING_PACKED:
        for each in told.embeddings:
            each.values.extend(numbers(each.packed))
            each.packed = b""
    return told
