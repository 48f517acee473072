"""When a candidate that guards let through is served: one fixed setting, or what was learned.

The verifier is a veto: how sure it must be depends on the similarity, so that a near repeat
passes on little and a far one only on much. It never ranks.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace

from services.cache.semantic.features import Features, logit

# Cosine -> least p_same, straight lines of log odds between. Chosen on the development pairs
# (docs/cache-quality.md).
VETO = ((0.76, 0.96), (0.82, 0.9), (0.86, 0.5), (0.9, 0.35))
SIMILARITY_MIN = 0.76
CANDIDATES_MAX = 1
"""How many of the nearest that guards let through are judged: a second one, taken after the first
was refused, is wrong too often."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A line over the standardised features: accepted where it is at least `cut`."""

    centre: Features
    scale: Features
    weights: Features
    intercept: float
    cut: float

    def score(self, features: Features) -> float:
        """Log odds that the pair is the same question."""
        terms = zip(self.weights, features, self.centre, self.scale, strict=True)
        return self.intercept + sum(w * (x - c) / s for w, x, c, s in terms)


@dataclass(frozen=True, slots=True)
class Decision:
    """One setting of the judge.

    `similarity_min` is the cosine below which nothing is asked. `stricter` is added to the log
    odds the verifier must reach (after wrong hits). `learned` replaces the veto's line, where a
    calibration could show its target; `p_min` then stays as a floor. `owner_in_scope` says the
    scope holds one user's entries alone, so that "my order" means his. `closed` serves nothing.
    """

    similarity_min: float = SIMILARITY_MIN
    veto: tuple[tuple[float, float], ...] = VETO
    stricter: float = 0.0
    learned: Learned | None = None
    p_min: float = 0.3
    owner_in_scope: bool = False
    closed: bool = False

    def tightened(self, by: float) -> "Decision":
        """Asks for `by` more log odds, of the verifier or of what was learned."""
        learned = self.learned
        if learned is not None:
            learned = replace(learned, cut=learned.cut + by)
        return replace(self, stricter=self.stricter + by, learned=learned)

    def refusal(self, features: Features, p_same: float) -> str | None:
        """ "verifier", "calibration", or None where the pair is served."""
        if self.closed:
            return "calibration"
        if self.learned is not None:
            if p_same < self.p_min:
                return "verifier"
            return None if self.learned.score(features) >= self.learned.cut else "calibration"
        needed = self.logit_needed(features[0]) + self.stricter
        return None if logit(p_same) >= needed else "verifier"

    def logit_needed(self, similarity: float) -> float:
        """The veto's line at a similarity."""
        places = [place for place, _ in self.veto]
        right = bisect_left(places, similarity)
        if right == 0:
            return logit(self.veto[0][1])
        if right == len(places):
            return logit(self.veto[-1][1])
        (x0, p0), (x1, p1) = self.veto[right - 1], self.veto[right]
        share = (similarity - x0) / (x1 - x0)
        return logit(p0) + share * (logit(p1) - logit(p0))


def default_decision(*, owner_in_scope: bool = False) -> Decision:
    """The setting for features with nothing learned."""
    return Decision(owner_in_scope=owner_in_scope)
