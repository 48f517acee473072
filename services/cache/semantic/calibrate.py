"""Learns, per feature, which candidates may be served at the wrong-hit rate its operator accepts.

Outcomes are candidates that guards let through, with what became of them: a fresh answer that
agreed or not, a thumb, a reported wrong hit. From enough of them a line over the features is
fitted, and its cut is the loosest at which the upper bound of the wrong share among those
accepted, out of fold, is at most the target. The bound is one-sided 95 %, which leaves room for
the choice among cuts. Less evidence keeps the default.
"""

import json
from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from services.cache.semantic.decide import Decision, default_decision
from services.cache.semantic.features import NAMES, Features, logit
from services.cache.semantic.line import Array, fit_line, scores, share_lower, share_upper

WRONG_HIT_RATE_MAX = 0.01
OUTCOMES_MAX = 20_000
OUTCOMES_MIN = 500
"""Of candidates that guards let through, a fifth of the look-ups: 200 are too few for 99 %."""
CLASS_MIN = 30
FOLDS = 5
Z = 1.6449
"""One-sided 95 %."""
CUT_STEPS = 60
P_MIN = 0.3
TIGHTEN_LOGITS = 1.0
STRICTER_MAX = 6.0
EASE_AFTER = 200
"""Right outcomes after which half of what a wrong hit tightened is given back."""
CLOSE_HITS_MIN = 100
"""Hits of the default in the outcomes before they may close it."""
FORMAT = 1


class Standing(StrEnum):
    """Where a feature's calibration stands."""

    DEFAULT = "default"
    LEARNED = "learned"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """A decision and how it came about. `wrong_share_upper` bounds the wrong hits among served,
    one-sided 95 %; None where there is no evidence. `reason` is for the operator."""

    decision: Decision
    standing: Standing
    reason: str
    outcomes: int
    wrong_share_upper: float | None
    accepted_share: float | None


class BadState(Exception):
    """The bytes are no calibration."""


class Calibration:
    """One feature's outcomes, bounded, and its tightening. Not thread-safe."""

    def __init__(self) -> None:
        self._outcomes: deque[tuple[Features, bool]] = deque(maxlen=OUTCOMES_MAX)
        self.stricter = 0.0
        self._right_since = 0
        self._last_wrong: Features | None = None

    def __len__(self) -> int:
        return len(self._outcomes)

    def observe(self, features: Features, *, right: bool) -> None:
        """An outcome of a candidate, served or not (a shadow comparison, a thumb)."""
        self._outcomes.append((features, right))
        if not right:
            self._right_since = 0
            return
        self._right_since += 1
        if self._right_since >= EASE_AFTER:
            self._right_since = 0
            self.stricter /= 2

    def report_wrong(self, features: Features, decision: Decision) -> Decision:
        """A served hit was wrong: the decision from now on, which refuses that pair's like."""
        self.observe(features, right=False)
        by = max(TIGHTEN_LOGITS, 0.1 + _excess(features, decision))
        self.stricter = min(self.stricter + by, STRICTER_MAX)
        return decision.tightened(by)

    def settle(self, target: float = WRONG_HIT_RATE_MAX, *, owner_in_scope: bool = False) -> Result:
        """The decision for a target. CPU work: some 50 ms for 10,000 outcomes."""
        plain = default_decision(owner_in_scope=owner_in_scope)
        count = len(self._outcomes)
        rows = np.array([seen for seen, _ in self._outcomes], np.float64).reshape(count, len(NAMES))
        right = np.array([good for _, good in self._outcomes], np.float64)
        wrong = int(count - right.sum())
        if count < OUTCOMES_MIN or min(wrong, count - wrong) < CLASS_MIN:
            why = (
                f"{count:,} outcomes, {wrong:,} of them wrong:"
                f" {OUTCOMES_MIN:,} with {CLASS_MIN} of each kind are needed"
            )
            return self._default(plain, Standing.DEFAULT, why, (rows, right), target)
        cut, upper, share = _cut(rows, right, target)
        if cut is None:
            why = (
                f"a wrong-hit rate of {target:.1%} can't be shown on {count:,} outcomes:"
                f" the best that can be is {upper:.1%}"
            )
            return self._default(plain, Standing.REFUSED, why, (rows, right), target)
        learned = replace(fit_line(rows, right), cut=cut)
        decision = replace(plain, learned=learned, p_min=P_MIN).tightened(self.stricter)
        why = f"learned from {count:,} outcomes: at most {upper:.2%} of hits wrong, at 95 %"
        return Result(decision, Standing.LEARNED, why, count, upper, share)

    def _default(
        self,
        plain: Decision,
        standing: Standing,
        why: str,
        seen: tuple[Array, Array],
        target: float,
    ) -> Result:
        """The default; closed where the outcomes show that it misses the target."""
        rows, right = seen
        served = [plain.refusal(tuple(row), _p(row)) is None for row in rows]
        of = sum(served)
        bad = sum(1 for ok, good in zip(served, right, strict=True) if ok and not good)
        upper = share_upper(bad, of, Z) if of else None
        decision = plain.tightened(self.stricter)
        if of >= CLOSE_HITS_MIN and share_lower(bad, of, Z) > target:
            decision = replace(decision, closed=True)
            why += f"; the default is wrong in {bad:,} of {of:,} hits, so nothing is served"
        share = of / len(rows) if len(rows) else None
        return Result(decision, standing, why, len(rows), upper, share)

    def to_bytes(self) -> bytes:
        """The state, for a store."""
        kept = [[*(round(x, 5) for x in seen), int(good)] for seen, good in self._outcomes]
        state = {
            "format": FORMAT, "features": NAMES, "outcomes": kept,
            "stricter": self.stricter, "right_since": self._right_since,
        }  # fmt: skip
        return json.dumps(state, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Calibration":
        """Raises BadState; also for features of another version, which mean something else."""
        found = cls()
        try:
            state = json.loads(content)
            if state["format"] != FORMAT or tuple(state["features"]) != NAMES:
                raise BadState("made by another version")
            for row in state["outcomes"]:
                *seen, good = row
                if len(seen) != len(NAMES):
                    raise BadState("an outcome has the wrong length")
                found._outcomes.append((tuple(map(float, seen)), bool(good)))
            found.stricter = min(max(float(state["stricter"]), 0.0), STRICTER_MAX)
            found._right_since = int(state["right_since"])
        except (ValueError, TypeError, KeyError) as error:
            raise BadState(type(error).__name__) from None
        return found


def _p(row: Array) -> float:
    return float(1 / (1 + np.exp(-row[NAMES.index("verifier_logit")])))


def _excess(features: Features, decision: Decision) -> float:
    """How far above the line the pair was, in log odds."""
    if decision.learned is not None:
        return decision.learned.score(features) - decision.learned.cut
    p = features[NAMES.index("verifier_logit")]
    return p - decision.logit_needed(features[0]) - decision.stricter


def _cut(rows: Array, right: Array, target: float) -> tuple[float | None, float, float]:
    """The loosest cut that holds the target, with its bound and the share accepted; or None, with
    the least bound of any."""
    score = np.zeros(len(rows))
    fold = np.arange(len(rows)) % FOLDS
    for part in range(FOLDS):
        line = fit_line(rows[fold != part], right[fold != part])
        score[fold == part] = scores(line, rows[fold == part])
    score = np.where(rows[:, NAMES.index("verifier_logit")] >= logit(P_MIN), score, -np.inf)
    order = np.argsort(-score, kind="stable")
    wrong = np.cumsum(1 - right[order])
    # Fewer than this could not show the target with none wrong.
    least = int(np.ceil(Z * Z * (1 - target) / target))
    usable = int(np.isfinite(score).sum())
    best: tuple[float | None, float, float] = (None, 1.0, 0.0)
    for of in np.unique(np.linspace(least, usable, CUT_STEPS).astype(int)):
        if not 1 <= of <= usable:
            continue
        upper = share_upper(int(wrong[of - 1]), int(of), Z)
        if upper <= target:
            best = (float(score[order[of - 1]]), upper, of / len(rows))
        elif best[0] is None:
            best = (None, min(best[1], upper), 0.0)
    return best
