"""What Prepare of a conversation costs that was seen up to its last turn, against counting it."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from spendgate.chat.v1 import chat_pb2 as chat

from bench.count_engine import reference_of
from catalog.price import Rates
from services.tokenizer import vocabulary
from services.tokenizer.compress.compress import Options, Rule
from services.tokenizer.context.known import Conversations
from services.tokenizer.context.plan import BUDGET_TOKENS_DEFAULT, Policy, Shape
from services.tokenizer.estimate import FixedRatios
from services.tokenizer.memo import KEY_BYTES, Memo
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.models import model_of
from services.tokenizer.prepare import Ask, Fit, prepare

TOKENS = 8_000
ROUNDS = 60
MODEL = "gpt-5.4"
LIGHT = Options(rules=frozenset({Rule.JSON, Rule.WHITESPACE, Rule.DUPLICATES}))
RATES = Rates(2_500_000, 250_000, 2_500_000, 0, 15_000_000, 0, 0)


def prepare_speed(talks: Sequence[Sequence[chat.Message]]) -> dict[str, Any]:
    """Medians in microseconds, taken in turns; the count is tiktoken's of every text, whichever
    engine serves."""
    vocabularies = vocabulary.load()
    model = model_of(MODEL)
    words = vocabularies[model.encoding]
    encode = reference_of(vocabularies).encoding.encode_ordinary
    messages = _long(talks, words.count)
    before, whole = _prompts(messages)
    ask = Ask(LIGHT, Fit(Policy.AUTO, BUDGET_TOKENS_DEFAULT, Shape(RATES, 1024, 300, 400_000)))
    counts, prepared = [], []
    for _ in range(ROUNDS):
        counts.append(_micros(lambda: [len(encode(text)) for text in _texts(messages)]))
        memo: Memo[Tally] = Memo(100_000, bytes(KEY_BYTES))
        meter = Meter(model, words, FixedRatios(), memo=memo)
        known = Conversations(100_000, bytes(KEY_BYTES))
        prepare(before, meter, ask, known)
        prepared.append(_micros(lambda m=meter, k=known: prepare(whole, m, ask, k)))  # type: ignore[misc]
    count, one = statistics.median(counts), statistics.median(prepared)
    return {
        "messages": len(messages),
        "tokens": sum(words.count(text) for text in _texts(messages)),
        "count_whole_us": round(count),
        "prepare_known_us": round(one),
        "prepare_share_of_count": round(one / count, 3),
        "target_share": 0.1,
    }


def _long(
    talks: Sequence[Sequence[chat.Message]], count: Callable[[str], int]
) -> list[chat.Message]:
    """About TOKENS tokens: the longest conversation, and the next ones where it is short."""
    found: list[chat.Message] = []
    tokens = 0
    for talk in sorted(talks, key=lambda each: -sum(len(m.content) for m in each)):
        for message in talk:
            if tokens >= TOKENS:
                break
            found.append(message)
            tokens += count(message.content)
    while len(found) > 2 and found[-1].role != chat.ROLE_USER:
        found.pop()
    return found


def _prompts(messages: list[chat.Message]) -> tuple[chat.Prompt, chat.Prompt]:
    """(as the last call had it, as this one has it): an answer and a question more."""
    *before, last = messages
    answer = chat.Message(role=chat.ROLE_ASSISTANT, content="I have found it and changed it.")
    asked = [place for place, message in enumerate(before) if message.role == chat.ROLE_USER]
    seen = before[: asked[-1] + 1]
    return chat.Prompt(messages=seen), chat.Prompt(messages=[*seen, answer, last])


def _texts(messages: Sequence[chat.Message]) -> list[str]:
    texts = [message.content for message in messages]
    return texts + [call.arguments_json for message in messages for call in message.tool_calls]


def _micros(work: Callable[[], object]) -> float:
    start = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - start) / 1000
