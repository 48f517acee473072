"""A conversation counted before each of its turns: known again, with the memo, without."""

import secrets
from pathlib import Path
from typing import Any

from spendgate.chat.v1 import chat_pb2 as chat

from bench.count_engine import best_us, reference_of
from cli.eval_context import load
from services.tokenizer.context.known import Conversations
from services.tokenizer.estimate import FixedRatios
from services.tokenizer.memo import KEY_BYTES, Memo
from services.tokenizer.messages import message_tally
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.models import model_of
from services.tokenizer.prepare import prepare
from services.tokenizer.vocabulary import O200K, Vocabularies

MODEL = "gpt-4o"
ENTRIES_MAX = 200_000
REPEATS = 3


def conversations(path: Path, vocabularies: Vocabularies) -> list[dict[str, Any]]:
    """CPU for all prompts of all conversations, and how many times slower than the memo of
    messages the others are. `tiktoken` counts every prompt's texts anew."""
    prompts = [
        chat.Prompt(messages=talk[: place + 1])
        for talk in load(path)
        for place, message in enumerate(talk)
        if message.role == chat.ROLE_USER
    ]
    encode = reference_of(vocabularies).encoding.encode_ordinary

    def talks_known() -> None:
        known = Conversations(ENTRIES_MAX, secrets.token_bytes(KEY_BYTES))
        meter = _meter(vocabularies, _memo())
        for prompt in prompts:
            prepare(prompt, meter, known=known)

    def remembered() -> None:
        _count(prompts, _meter(vocabularies, _memo()))

    def whole() -> None:
        for prompt in prompts:
            for message in prompt.messages:
                encode(message.content)

    with_known = best_us(talks_known, REPEATS) / 1000
    with_memo = best_us(remembered, REPEATS) / 1000
    without = best_us(lambda: _count(prompts, _meter(vocabularies, None)), REPEATS) / 1000
    tiktoken = best_us(whole, REPEATS) / 1000
    rows = (
        ("Prepare, conversation known", with_known),
        ("memo", with_memo),
        ("no memo", without),
        ("tiktoken, no memo", tiktoken),
    )
    return [
        {"how": how, "prompts": len(prompts), "ms": each, "times_of_memo": each / with_memo}
        for how, each in rows
    ]


def _memo() -> Memo[Tally]:
    return Memo(ENTRIES_MAX, secrets.token_bytes(KEY_BYTES))


def _meter(vocabularies: Vocabularies, memo: Memo[Tally] | None) -> Meter:
    return Meter(model_of(MODEL), vocabularies[O200K], FixedRatios(), memo=memo)


def _count(prompts: list[chat.Prompt], meter: Meter) -> None:
    for prompt in prompts:
        total = Tally()
        for message in prompt.messages:
            total.include(message_tally(message, meter))
