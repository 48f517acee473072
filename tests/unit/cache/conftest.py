"""Prompts and answers that tests of the cache speak about."""

from collections.abc import Callable

import pytest
from spendgate.cache.v1 import cache_service_pb2 as pb
from spendgate.chat.v1 import chat_pb2


@pytest.fixture
def prompt() -> Callable[..., chat_pb2.Prompt]:
    """Makes a prompt: a user's text under a system prompt, with more fields by name."""

    def make(text: str = "What is the capital of France?", **more: object) -> chat_pb2.Prompt:
        made = chat_pb2.Prompt(**more)
        made.messages.add(role=chat_pb2.ROLE_SYSTEM, content="You help.")
        made.messages.add(role=chat_pb2.ROLE_USER, content=text)
        return made

    return make


@pytest.fixture
def answer() -> Callable[..., pb.Answer]:
    """Makes a finished answer."""

    def make(text: str = "Paris.", **more: object) -> pb.Answer:
        made = pb.Answer(model="gpt-5.4-mini", **more)
        choice = made.choices.add(finish_reason=chat_pb2.FINISH_REASON_STOP)
        choice.message.role = chat_pb2.ROLE_ASSISTANT
        choice.message.content = text
        return made

    return make
