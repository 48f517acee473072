"""The engine that serves against tiktoken: everyday texts, and growth on hostile ones."""

import random
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from services.tokenizer.engines.guarded import GuardedEngine
from services.tokenizer.engines.reference import TiktokenEngine
from services.tokenizer.vocabulary import O200K, Vocabularies

TEXT_CHARS = 20_000
ENGLISH = (
    "The warehouse confirmed that order 48213 left on Tuesday, but the courier's page still says "
    "it hasn't been scanned. Could you check with them, and tell me whether I'll get a refund? "
)
CODE = (
    "def total(items: list[Item], *, discount: int = 0) -> int:\n"
    '    """Sum of the prices in cents."""\n'
    "    return max(0, sum(item.price * item.count for item in items) - discount)\n\n\n"
)
CJK = (
    "包裹还没有到,我想要退款。荷物がまだ届いていません、返金をお願いします。"
    "소포가 아직 도착하지 않았습니다. "
)
EMOJI = "😀👍🏽🎉👨‍👩‍👧‍👦🏳️‍🌈🇩🇪❤️‍🔥 "
RUSSIAN = "Посылка не пришла, и я хотел бы получить деньги обратно. "
JSON_TEXT = '{"id":"9f8b1c2d","status":"in_transit","items":[{"sku":"A-1","price":12.5}]},'
EVERYDAY = {
    "100 B English": ENGLISH[:100],
    "2 KB English": (ENGLISH * 99)[:2000],
    "20 KB English": (ENGLISH * 999)[:TEXT_CHARS],
    "20 KB code": (CODE * 999)[:TEXT_CHARS],
    "20 KB zh/ja/ko": (CJK * 999)[:TEXT_CHARS],
    "20 KB emoji": (EMOJI * 999)[:TEXT_CHARS],
    "20 KB Russian": (RUSSIAN * 999)[:TEXT_CHARS],
    "20 KB JSON": (JSON_TEXT * 999)[:TEXT_CHARS],
}
SIZES = (500_000, 1_000_000, 2_000_000, 4_000_000)
REPEATS = 7


def _letters(count: int) -> str:
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=count))


def _base64(count: int) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return "".join(random.Random(2).choices(letters, k=count))


HOSTILE: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "a" * n,
    "spaces": lambda n: " " * n,
    "spaces and a letter": lambda n: " " * (n - 1) + "x",
    "tabs": lambda n: "\t" * n,
    "wide blanks": lambda n: "\u3000" * (n // 3),
    "line ends": lambda n: "\n" * n,
    "blanks and line ends": lambda n: " \n" * (n // 2),
    "random letters": _letters,
    "base64": _base64,
    "digits": lambda n: "1" * n,
    "punctuation": lambda n: "!" * n,
    "one emoji": lambda n: "😀" * (n // 4),
    "combining marks": lambda n: "\u0301" * (n // 2),
    "one Chinese letter": lambda n: "中" * (n // 3),
    "special tokens": lambda n: "<|endoftext|>" * (n // 13),
    "quotes": lambda n: "'s" * (n // 2),
    "lone surrogates": lambda n: "\ud800" * (n // 3),
}


def best_us(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The quickest of several times, in microseconds of CPU of all this process's threads: what
    else the machine does falls on none of them."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time_ns()
        work()
        best = min(best, (time.process_time_ns() - began) / 1000)
    return best


def reference_of(vocabularies: Vocabularies) -> TiktokenEngine:
    """tiktoken, whichever engine serves."""
    engine = vocabularies[O200K].engine
    found = engine.reference if isinstance(engine, GuardedEngine) else engine
    assert isinstance(found, TiktokenEngine)
    return found


def everyday(vocabularies: Vocabularies) -> list[dict[str, Any]]:
    """Microseconds a text; `times` is tiktoken's over ours, `encode_ordinary` as users call it."""
    vocabulary = vocabularies[O200K]
    reference = reference_of(vocabularies)
    rows = []
    for kind, text in EVERYDAY.items():
        if reference.count(text) != vocabulary.count(text):
            raise SystemExit(f"{kind}: the engines do not agree")
        ours = best_us(lambda text=text: vocabulary.count(text), 40)
        theirs = best_us(lambda text=text: reference.encoding.encode_ordinary(text), 20)
        lean = best_us(lambda text=text: reference.count(text), 20)
        rows.append(
            {
                "text": kind,
                "tiktoken_us": theirs,
                "tiktoken_without_ids_us": lean,
                "ours_us": ours,
                "times": theirs / ours,
                "times_without_ids": lean / ours,
            }
        )
    return rows


def growth(vocabularies: Vocabularies) -> list[dict[str, Any]]:
    """Milliseconds at each size, and the worst of T(2n) / T(n)."""
    count = vocabularies[O200K].count
    rows = []
    for kind, make in HOSTILE.items():
        texts = [make(size) for size in SIZES]
        times = [float("inf")] * len(texts)
        for _ in range(REPEATS):
            for place, text in enumerate(texts):
                times[place] = min(times[place], best_us(lambda text=text: count(text), 1))
        rows.append(
            {"text": kind}
            | {
                f"{size // 1000}_kb_ms": each / 1000
                for size, each in zip(SIZES, times, strict=True)
            }
            | {"worst_doubling": max(b / a for a, b in pairwise(times))}
        )
    return rows
