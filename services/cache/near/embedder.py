"""The judge's work, off the loop: batched across callers, bounded, nothing done twice."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from chassis.coalesce import Coalescer
from chassis.deadline import Deadline
from services.cache.near.index import Vector
from services.cache.semantic.decide import Decision
from services.cache.semantic.judge import Candidate, Judge, Verdict

# More texts a batch make the first wait longer and the last not sooner.
TEXTS_A_BATCH_MAX = 16
WAITING_MAX = 512
# 1.5 KiB each.
VECTORS_KEPT_MAX = 16_384
_Question = tuple[str, Sequence[Candidate], Decision]


class Embedder:
    """Runs a Judge on `threads` worker threads of its own.

    Every method raises what chassis.coalesce.Coalescer.call raises: DeadlinePassed, QueueFull,
    CoalescerClosed; and what the judge raises.
    """

    def __init__(self, judge: Judge, *, threads: int, kept_max: int = VECTORS_KEPT_MAX) -> None:
        self._judge = judge
        self._kept_max = kept_max
        self._kept: OrderedDict[bytes, Vector] = OrderedDict()
        self._heavy = ThreadPoolExecutor(threads, thread_name_prefix="cache-judge")
        # Screens are a thousand times shorter than what the others do: they do not queue behind.
        self._light = ThreadPoolExecutor(1, thread_name_prefix="cache-screen")
        self._embeds: Coalescer[str, Vector] = Coalescer(
            self._embed, items_max=TEXTS_A_BATCH_MAX, waiting_max=WAITING_MAX, flights_max=threads
        )
        self._verdicts: Coalescer[_Question, list[Verdict]] = Coalescer(
            self._judge_one, items_max=1, waiting_max=WAITING_MAX, flights_max=threads
        )

    @property
    def model_version(self) -> str:
        """Changes with any weights."""
        return self._judge.model_version

    async def screen(self, texts: Sequence[str]) -> list[Vector]:
        """A cheap vector a text."""
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._light, self._judge.screen, list(texts)))

    def exact_only(self, text: str, decision: Decision) -> bool:
        """Whether no other prompt's answer may be served. Microseconds: on the loop."""
        return self._judge.exact_only(text, decision)

    async def worth(self, asks: Sequence[tuple[str, Sequence[Candidate]]]) -> list[list[int]]:
        """Of each query's neighbours, the places of those for which it must be embedded."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._light,
            lambda: [self._judge.worth_embedding(query, near) for query, near in asks],
        )

    async def embed(self, texts: Sequence[str], deadline: Deadline) -> list[Vector]:
        """A unit vector a text. Made at most once a text while it is remembered."""
        names = [_name(text) for text in texts]
        missing = {
            name: text for name, text in zip(names, texts, strict=True) if name not in self._kept
        }
        made = dict(
            zip(
                missing,
                await asyncio.gather(*(self._embeds.call(t, deadline) for t in missing.values())),
                strict=True,
            )
        )
        found = [made[name] if name in made else self._kept[name] for name in names]
        for name, vector in made.items():
            self._kept[name] = vector
        for name in names:
            self._kept.move_to_end(name)
        while len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return found

    async def judge(
        self, query: str, candidates: Sequence[Candidate], decision: Decision, deadline: Deadline
    ) -> list[Verdict]:
        """The judge's verdicts, in order."""
        return await self._verdicts.call((query, candidates, decision), deadline)

    async def close(self) -> None:
        """Lets what runs end."""
        await self._embeds.close()
        await self._verdicts.close()
        self._heavy.shutdown(wait=False, cancel_futures=True)
        self._light.shutdown(wait=False, cancel_futures=True)

    async def _embed(self, texts: Sequence[str], _: float) -> list[Vector]:
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._heavy, self._judge.embed, list(texts)))

    async def _judge_one(self, questions: Sequence[_Question], _: float) -> list[list[Verdict]]:
        loop = asyncio.get_running_loop()
        return [
            await loop.run_in_executor(self._heavy, self._judge.judge, *question)
            for question in questions
        ]


def _name(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
