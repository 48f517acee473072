"""What the look-up asks of a judge of semantic hits: the port, and the one that is shipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.cache.semantic.decide import Decision
from services.cache.semantic.features import Features

Floats = NDArray[np.float32]

EMBED_DIMENSIONS = 384
SCREEN_DIMENSIONS = 256


@dataclass(frozen=True, slots=True)
class Candidate:
    """An earlier prompt near the query; `similarity` is their cosine, -1 to 1."""

    text: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of one candidate.

    `p_same` is the verifier's, 0 to 1; None where it was not asked. `refused_by` names the first
    test that refused: "exact_only", "similarity", "guard.numbers" (and the other guards),
    "verifier", "calibration"; None of an accepted one. `features` are what a calibration learns
    from; None where a guard refused or nothing was asked.
    """

    accept: bool
    similarity: float
    p_same: float | None
    refused_by: str | None
    features: Features | None = None


class Judge(Protocol):
    """Embeds prompts and judges whether one's answer may be served for another.

    All of it is blocking CPU work: call it on a worker thread. Calls may overlap.
    """

    model_version: str
    """Changes with any weights; entries of another version are misses."""

    def exact_only(self, text: str, decision: Decision) -> bool:
        """True where no other prompt's answer may be served: too long for the networks, or "my"
        and "now" where the scope has no owner. Then there is nothing to embed. Microseconds."""
        ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """(n, 384) float32 unit vectors."""
        ...

    def screen(self, texts: Sequence[str]) -> Floats:
        """(n, 256) float32 unit vectors without a network, tens of microseconds a text."""
        ...

    def worth_embedding(self, query: str, nearest: Sequence[Candidate]) -> list[int]:
        """Places of those `nearest` by screen vectors that may come to a hit, so that the query
        must be embedded for them; empty: it is a miss. `similarity` is the screen's."""
        ...

    def judge(
        self, query: str, candidates: Sequence[Candidate], decision: Decision
    ) -> list[Verdict]:
        """A verdict on each candidate, in order. A network that fails refuses: "verifier"."""
        ...


def load_judge(threads: int = 1) -> Judge:
    """The judge with the shipped weights, `threads` for each network. Takes some 0.3 s."""
    from services.cache.semantic.shipped import ShippedJudge

    return ShippedJudge(threads)
