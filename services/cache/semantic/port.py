"""What the look-up asks of a judge of semantic hits, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

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
    test that refused: "similarity", "guard.numbers" (and the other guards), "calibration",
    "verifier", "exact_only"; None of an accepted one. `features` are what a calibration learns
    from.
    """

    accept: bool
    similarity: float
    p_same: float | None
    refused_by: str | None
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """One setting of the judge: which candidates are asked about, and when they are accepted."""

    similarity_min: float
    data: Mapping[str, Any] = field(default_factory=dict)


class Judge(Protocol):
    """Embeds prompts and judges whether one's answer may be served for another.

    All of it is blocking CPU work: call it on a worker thread.
    """

    model_version: str
    """Changes with any weights; entries of another version are misses."""

    def embed(self, texts: Sequence[str]) -> Floats:
        """(n, 384) unit vectors."""
        ...

    def screen(self, texts: Sequence[str]) -> Floats:
        """(n, 256) static unit vectors, tens of microseconds a text."""
        ...

    def judge(
        self, query: str, candidates: Sequence[Candidate], decision: Decision
    ) -> list[Verdict]:
        """A verdict on each candidate, in order. Never raises: what fails is refused."""
        ...
