"""What load is made of: questions as a backend asks them, as bytes for the generator.

A payload may hold MARKER; the generator puts a new number of as many digits in its place, which
makes every question a new one and keeps every length right.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from spendgate.chat.v1 import chat_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

MARKER = "@" * 16
SYSTEM = (
    "You answer customers of a parcel service. Be brief and friendly. Never promise a date that "
    "the tracking page does not show. If you do not know, say so and offer a call back."
)
OLD = (
    "Where is my parcel?",
    "How do I change the delivery address of an order that has not left yet?",
    "What does express shipping to Switzerland cost for two kilograms?",
    "My parcel arrived damaged. What should I do now?",
)
NEW = f"Where is the parcel with the number {MARKER}, and when will it arrive at my door?"


def http_body(model: str, question: str, *, stream: bool = False) -> bytes:
    """A chat completion as OpenAI's SDKs send it."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
        ],
        "temperature": 0,
        "max_tokens": 64,
    }
    if stream:
        body["stream"] = True
    return json.dumps(body).encode()


def grpc_body(
    model: str, question: str, *, mode: "pb.CacheMode" = pb.CACHE_MODE_UNSPECIFIED
) -> bytes:
    """The same for GatewayService.Complete."""
    return pb.CompleteRequest(
        model=model,
        prompt=chat_pb2.Prompt(
            messages=[
                chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=SYSTEM),
                chat_pb2.Message(role=chat_pb2.ROLE_USER, content=question),
            ],
            sampling=chat_pb2.Sampling(temperature=0, output_tokens_max=64),
        ),
        options=pb.RequestOptions(feature="load", cache_mode=mode),
    ).SerializeToString()


def write(folder: Path, payloads: Sequence[bytes]) -> Path:
    """The payloads as files for the generator, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, payload in enumerate(payloads):
        (folder / f"{place:04}").write_bytes(payload)
    return folder


ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "static",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Your parcel is on its way and should be with you soon.",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 62, "completion_tokens": 13, "total_tokens": 75},
    }
).encode()
