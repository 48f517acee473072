"""What the books are told of a prompt."""

from types import SimpleNamespace
from typing import Any

from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from gateway.saga import facts
from gateway.saga.facts import PromptNames


def _prompt(text: str, system: str = "", **sampling: Any) -> chat_pb2.Prompt:
    messages = [chat_pb2.Message(role=chat_pb2.ROLE_USER, content=text)]
    if system:
        messages.insert(0, chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, content=system))
    return chat_pb2.Prompt(messages=messages, sampling=chat_pb2.Sampling(**sampling))


async def _named(prompt: chat_pb2.Prompt, tenant: str = "acme", key: bytes = b"k"):
    ask: Any = SimpleNamespace(
        prompt=prompt,
        attribution=entry_pb2.Attribution(tenant=tenant),
        prepared=tokenizer_pb.Prepared(segments=tokenizer_pb.Segments(new_tokens=3)),
    )
    await PromptNames(key).name(ask)
    return ask.facts


async def test_equal_prompts_of_a_tenant_have_one_name() -> None:
    """Another tenant's, another key's, another temperature's have another."""
    one = await _named(_prompt("What is up?", "Be brief."))
    assert await _named(_prompt("What is up?", "Be brief.")) == one
    others = [
        await _named(_prompt("What is up?", "Be brief."), tenant="other"),
        await _named(_prompt("What is up?", "Be brief."), key=b"another"),
        await _named(_prompt("What is up?", "Be brief.", temperature=1)),
        await _named(_prompt("What is down?", "Be brief.")),
    ]
    assert one.prompt_hash not in {other.prompt_hash for other in others}
    assert len(one.prompt_hash) == 32
    assert one.system_hash == others[3].system_hash != others[0].system_hash
    assert (await _named(_prompt("What is up?"))).system_hash == ""


async def test_no_text_is_in_what_is_told() -> None:
    """Nor is a prompt that is hashed in a thread named in another way."""
    text = "a secret word " * 50
    small = await _named(_prompt(text, text, output_tokens_max=9))
    assert b"secret" not in small.SerializeToString()
    assert (small.new_tokens, small.output_tokens_max) == (3, 9)


async def test_a_long_prompt_is_named_off_the_loop(monkeypatch: Any) -> None:
    """With the same name."""
    prompt = _prompt("long " * 100)
    here = await _named(prompt)
    monkeypatch.setattr(facts, "INLINE_BYTES_MAX", 10)
    assert await _named(prompt) == here
