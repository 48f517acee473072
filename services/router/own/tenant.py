"""What is kept of one tenant: prompts as vectors, how answers turned out, what calls used.

Texts are never kept. Everything is bounded: the oldest goes first. Not safe for several threads:
the store lets one in at a time.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from services.router.learn.curve import apgr_interval
from services.router.learn.learner import LABELS_MAX, Learner, Outlook
from services.router.own.policy_curve import Applied, Curve, Proposal, policy_curve, propose

Floats = NDArray[np.float32]

DECISIONS_MAX = 20_000
OUTCOMES_MAX = 20_000
STOOD_MAX = 4_096
STOOD_KEPT_MAX = 200
NEIGHBOUR_LABELS_MIN = 20
GROWN_AGAIN_PERCENT = 20
PAIRS_MIN = 100
FOLDS = 2
SECONDS_PER_DAY = 86_400.0


class Source(Enum):
    """Who says how good an answer was."""

    USER = "user"
    VALIDATOR = "validator"
    JUDGE = "judge"
    SHADOW = "shadow"
    CALL = "call"


# A judge is a model too, and a user is the one it is all for.
SOURCE_WEIGHTS = {Source.USER: 1.0, Source.VALIDATOR: 1.0, Source.JUDGE: 0.5, Source.SHADOW: 0.7}


@dataclass(frozen=True, slots=True)
class Used:
    """What one call used: tokens, and nano-USD at list price; None: unpriced, or no baseline."""

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    spent_nanos: int | None = None
    baseline_nanos: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome. `score` is None for source CALL, `used` for the others."""

    request_id: str
    model: str
    source: Source
    seconds: float
    score: float | None = None
    used: Used | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same outcome."""
        return self.request_id, self.model, self.source.value

    def same(self, other: "Told") -> bool:
        """Whether both say the same, whenever they were told."""
        return self.score == other.score and self.used == other.used


@dataclass(frozen=True, slots=True)
class Made:
    """A decision: for which feature, and how likely each model was to be asked."""

    feature: str = ""
    odds: Mapping[str, float] = field(default_factory=dict)


class DecisionUnknown(Exception):
    """No decision of the tenant has this request id."""


class OutcomeReused(Exception):
    """The same outcome was told before with another content."""


@dataclass(slots=True)
class Tenant:
    """One tenant's memory. `seconds` everywhere: of one clock that goes on over restarts."""

    vectors: "OrderedDict[str, Floats]" = field(default_factory=OrderedDict)
    outcomes: "OrderedDict[tuple[str, str, str], Told]" = field(default_factory=OrderedDict)
    made: dict[str, Made] = field(default_factory=dict)
    # The last validators' scores by feature and model: how often answers stand their checks.
    stood: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    pays: bool | None = None
    curve: Curve | None = None
    applied: Applied | None = None
    _learner: Learner | None = None
    _models: Sequence[str] = ()
    _ids: Sequence[str] = ()
    _grown_labels: int = 0
    _stale: bool = True
    _lengths: Mapping[str, int] | None = None

    def decided(self, request_id: str, vector: Floats, made: Made | None = None) -> None:
        """A decision was made on a prompt."""
        self.vectors[request_id] = vector
        self.made[request_id] = made or Made()
        self.vectors.move_to_end(request_id)
        while len(self.vectors) > DECISIONS_MAX:
            gone, _ = self.vectors.popitem(last=False)
            self.made.pop(gone, None)

    def told(self, outcome: Told) -> bool:
        """Keeps an outcome; False when it was known already.

        Raises: DecisionUnknown (scores only); OutcomeReused.
        """
        before = self.outcomes.get(outcome.key)
        if before is not None:
            if before.same(outcome):
                return False
            raise OutcomeReused
        if outcome.score is not None and outcome.request_id not in self.vectors:
            raise DecisionUnknown
        self.keep(outcome)
        if outcome.score is not None:
            self._stale = True
        else:
            self._lengths = None
        return True

    def keep(self, outcome: Told) -> None:
        """Takes an outcome in, unasked."""
        self.outcomes[outcome.key] = outcome
        while len(self.outcomes) > OUTCOMES_MAX:
            self.outcomes.popitem(last=False)
        if outcome.source is Source.VALIDATOR and outcome.score is not None:
            feature = self.made.get(outcome.request_id, Made()).feature
            place = feature, outcome.model
            if place in self.stood or len(self.stood) < STOOD_MAX:
                self.stood.setdefault(place, deque(maxlen=STOOD_KEPT_MAX)).append(outcome.score)

    def labels(self) -> list[Told]:
        """Outcomes with a score whose prompt is still known, oldest first."""
        kept = [t for t in self.outcomes.values() if t.score is not None]
        return [t for t in kept if t.request_id in self.vectors][-LABELS_MAX:]

    def output_tokens(self) -> Mapping[str, int]:
        """Mean output tokens of each model's calls."""
        if self._lengths is None:
            self._lengths = self._mean_lengths()
        return self._lengths

    def input_tokens(self) -> int:
        """Mean input tokens of its calls, 0 without any."""
        read = [told.used.input_tokens for told in self.outcomes.values() if told.used]
        return sum(read) // len(read) if read else 0

    def copied(self) -> "Tenant":
        """What learning reads, apart: so that a worker may learn while decisions go on."""
        return replace(self, vectors=OrderedDict(self.vectors), outcomes=OrderedDict(self.outcomes))

    def adopt(self, learned: "Tenant") -> None:
        """Takes over what a copy has learned."""
        self._learner, self._models, self._ids = learned._learner, learned._models, learned._ids
        self._grown_labels, self.pays = learned._grown_labels, learned.pays
        self.curve = learned.curve

    def taken_up(self) -> bool:
        """Whether there are new labels; they count as learned from now on."""
        stale, self._stale = self._stale, False
        return stale

    def _mean_lengths(self) -> Mapping[str, int]:
        sums: dict[str, list[int]] = {}
        for told in self.outcomes.values():
            if told.used is not None and told.used.output_tokens:
                sums.setdefault(told.model, []).append(told.used.output_tokens)
        return {model: max(sum(each) // len(each), 1) for model, each in sums.items()}

    def outlook(
        self, vectors: Floats, models: Sequence[str], prior: Floats
    ) -> tuple[Outlook, Sequence[str]] | None:
        """What own outcomes say of prompts, for the models, and the ids of labelled prompts.

        None while there are too few labels.
        """
        learner = self._learner
        if learner is None:
            return None
        columns = [self._models.index(m) if m in self._models else -1 for m in models]
        whole = np.zeros((len(vectors), len(self._models)), np.float32)
        for place, column in enumerate(columns):
            if column >= 0:
                whole[:, column] = prior[:, place]
        found = learner.outlook(_wide(vectors, learner.width), whole)
        picked = [_columns(part, columns) for part in (found.quality, found.spread, found.trust)]
        unknown = np.array([column < 0 for column in columns])
        picked[0][:, unknown] = prior[:, unknown]
        picked[1][:, unknown] = np.nan
        return Outlook(picked[0], picked[1], picked[2], found.nearest), self._ids

    def proposal(self, present_percent: int, wanted_percent: int) -> Proposal | None:
        """A bound that would serve better than the present one, None when none would."""
        if self.curve is None:
            return None
        version = (self.applied.version if self.applied else 0) + 1
        return propose(self.curve, present_percent, wanted_percent, version)

    def learn(
        self,
        seconds: float,
        half_life_days: int,
        *,
        grow: bool = True,
        nanos: Mapping[str, int] | None = None,
        baseline: str | None = None,
    ) -> bool:
        """Takes new labels in. Neighbours at once; lines and trees when labels have grown much.

        `nanos`: what a usual call costs at each model, for the curve against `baseline`.
        True when the learner changed. CPU work: a worker's. Takes under 50 ms without growing.
        """
        labels = self.labels()
        if len(labels) < NEIGHBOUR_LABELS_MIN:
            return False
        models = sorted({told.model for told in labels})
        ids = list(dict.fromkeys(told.request_id for told in labels))
        rows = {request_id: n for n, request_id in enumerate(ids)}
        width = max(len(self.vectors[i]) for i in ids)
        vectors = np.vstack([_wide(self.vectors[i][None], width) for i in ids])
        scores = np.full((len(ids), len(models)), np.nan, np.float32)
        sure = np.zeros_like(scores)
        weights = np.zeros(len(ids), np.float32)
        for told in labels:
            place = rows[told.request_id], models.index(told.model)
            age_days = max(seconds - told.seconds, 0) / SECONDS_PER_DAY
            weight = SOURCE_WEIGHTS[told.source] * 0.5 ** (age_days / half_life_days)
            # Of several sources on one answer the surest counts.
            if weight > sure[place]:
                scores[place], sure[place] = told.score, weight
            weights[place[0]] = max(weights[place[0]], weight)
        much = len(labels) * 100 >= self._grown_labels * (100 + GROWN_AGAIN_PERCENT)
        before = self._learner if tuple(models) == tuple(self._models) else None
        again = grow and (much or before is None)
        rng = np.random.default_rng(len(labels))
        self._learner = Learner(
            vectors, scores, weights, rng, grow=again, heads=None if again else before
        )
        self._models, self._ids = models, ids
        if again:
            self._grown_labels = len(labels)
            self.pays = _pays(vectors, scores, weights, rng)
            labelled = vectors, scores, weights
            self.curve = policy_curve(labelled, models, nanos or {}, baseline, rng)
        return True


def _pays(
    vectors: Floats, scores: Floats, weights: Floats, rng: np.random.Generator
) -> bool | None:
    """Whether the order of prompts that outcomes teach beats chance on others: None, unknown."""
    asked = ~np.isnan(scores)
    best, pair = 0, (0, 0)
    for one in range(scores.shape[1]):
        for other in range(one + 1, scores.shape[1]):
            both = int((asked[:, one] & asked[:, other]).sum())
            if both > best:
                best, pair = both, (one, other)
    if best < PAIRS_MIN:
        return None
    rows = np.flatnonzero(asked[:, pair[0]] & asked[:, pair[1]])
    weak, strong = sorted(pair, key=lambda column: scores[rows, column].mean())
    columns = [weak, strong]
    need = np.zeros(len(rows), np.float32)
    folds = rng.integers(0, FOLDS, len(rows))
    for fold in range(FOLDS):
        seen, rest = rows[folds != fold], rows[folds == fold]
        learner = Learner(vectors[seen], scores[seen][:, columns], weights[seen], rng)
        flat = np.tile(learner.means, (len(rest), 1))
        quality = learner.outlook(vectors[rest], flat).quality
        need[folds == fold] = quality[:, 1] - quality[:, 0]
    interval = apgr_interval(
        need.astype(np.float64),
        scores[rows, weak].astype(np.float64),
        scores[rows, strong].astype(np.float64),
        rng,
    )
    return interval is not None and interval[0] > 0.5


def _columns(part: Floats, columns: Sequence[int]) -> Floats:
    picked: Floats = np.zeros((len(part), len(columns)), np.float32)
    for place, column in enumerate(columns):
        if column >= 0:
            picked[:, place] = part[:, column]
    return picked


def _wide(vectors: Floats, width: int) -> Floats:
    """The vectors as wide as the learner's: an embedding more or less does not make them other."""
    have = vectors.shape[1]
    if have >= width:
        return vectors[:, :width]
    return np.hstack([vectors, np.zeros((len(vectors), width - have), np.float32)])
