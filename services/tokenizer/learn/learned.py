"""Ratios that get better with every call: the family's table first, then what providers reported.

What is learned belongs to the deployment: numbers by model, no text, no tenant.
"""

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.tokenizer.estimate import Family, FixedRatios, Fixes, Ratio, Script
from services.tokenizer.learn.fit import Fit, Prior, fit
from services.tokenizer.learn.pair import PARTS, TERMS, Pair, Verdict
from services.tokenizer.models import Model

# Of each model and each script that dominates a call, so many calls are remembered: after a
# change of tokenizer it takes half of them until the new one counts.
PAIRS_MAX: Final = 64
MODELS_MAX: Final = 256
# With fewer calls the table is the better guess.
PAIRS_MIN: Final = 5
# A call this much above or below the table's estimate was not reported right.
_TIMES_OFF_MAX: Final = 5
_TOKENS_MIN: Final = 16
_MEDIA_SHARE_MAX: Final = 10  # one part in so many
# New ratios are taken once a model has a quarter more calls, or this many; each time, what the
# memo holds of the model is counted again.
_NEWS_MAX: Final = 32
# Ratios that moved less than this are not worth that.
_MOVE_PERMILLE_MIN: Final = 3
_BOUND_PERMILLE_MIN: Final = 5
# What nobody told about tools and the chat format: a factor within this share, and so many
# tokens on top of a prompt.
_TOOLS_DEVIATION: Final = 0.5
_OVERHEAD_DEVIATION: Final = 0.5
_EXTRA_DEVIATION: Final = 10.0
_SCRIPTS: Final = tuple(Script)
_REQUEST_DIGEST_BYTES: Final = 8
_TABLE: Final = FixedRatios()


@dataclass(slots=True)
class _Known:
    """One model: its calls, and the ratios in use."""

    family: Family
    windows: tuple[deque[Pair], ...] = field(
        default_factory=lambda: tuple(deque(maxlen=PAIRS_MAX) for _ in _SCRIPTS)
    )
    requests: set[str] = field(default_factory=set)
    news: int = 0
    generation: int = 0
    calls: int = 0
    ratios: tuple[Ratio, ...] = ()
    fixes: Fixes = field(default_factory=Fixes)
    # Calls, and ratios made of them, that no store has yet.
    unsaved: bool = False
    due: bool = False

    def pairs(self) -> list[Pair]:
        """All that is remembered."""
        return [pair for window in self.windows for pair in window]


class LearnedRatios:
    """`Ratios` that learn; safe to use from several threads.

    Memory: at most MODELS_MAX models of 3 x PAIRS_MAX calls, some 0.4 kB each.
    """

    def __init__(self) -> None:
        self._models: OrderedDict[str, _Known] = OrderedDict()
        self._forgotten: set[str] = set()
        self._lock = threading.Lock()

    def ratio(self, model: str, family: Family, script: Script) -> Ratio:
        """See the port."""
        known = self._models.get(model)
        if known is None or not known.ratios:
            return _TABLE.ratio(model, family, script)
        return known.ratios[_SCRIPTS.index(script)]

    def fixes(self, model: str) -> Fixes:
        """See the port."""
        known = self._models.get(model)
        return known.fixes if known is not None else _TABLE.fixes(model)

    def calls(self, model: str) -> int:
        """See the port."""
        known = self._models.get(model)
        return known.calls if known is not None else 0

    def generation(self, model: str) -> int:
        """See the port."""
        known = self._models.get(model)
        return known.generation if known is not None else 0

    def take(self, model: Model, request_id: str, counted: Sequence[int], reported: int) -> Verdict:
        """Takes one call: `counted` by part as in Pair, then media; `reported` input tokens.

        Cheap; what follows from it holds after `refit`.
        """
        family = model.family
        if family is None:
            return Verdict.EXACT
        *parts, media = counted
        request = request_digest(request_id)
        latin, cjk, other, tools, overhead = parts
        pair = Pair(latin, cjk, other, tools, overhead, reported - media, request)
        row = _row(family, pair)
        size = sum(row[:-1])
        with self._lock:
            known = self._models.get(model.name)
            if known is not None and request in known.requests:
                return Verdict.REPEATED
            if (
                size < _TOKENS_MIN
                or media * _MEDIA_SHARE_MAX > size
                or not size <= pair.reported * _TIMES_OFF_MAX <= size * _TIMES_OFF_MAX**2
            ):
                return Verdict.IGNORED
            self._put(self._model(model.name, family), pair)
        return Verdict.TAKEN

    def refit(self) -> None:
        """New ratios for every model with enough news. CPU: some 20 ms a model."""
        with self._lock:
            due = [
                (name, known, known.family, known.pairs())
                for name, known in self._models.items()
                if known.news >= max(1, min(_NEWS_MAX, known.calls // 4))
            ]
        for name, known, family, pairs in due:
            if len(pairs) >= PAIRS_MIN:
                found = _fitted(family, pairs)
                with self._lock:
                    if self._models.get(name) is known:
                        _use(known, family, found, len(pairs))

    def changed(self, *, every: bool = False) -> dict[str, tuple[Family, list[Pair]]]:
        """Models whose ratios were made anew since the last time, with their calls, for a store;
        with `every`, also those that have but a few more calls."""
        with self._lock:
            found = {}
            for name, known in self._models.items():
                if known.due or (every and known.unsaved):
                    known.due = known.unsaved = False
                    found[name] = known.family, known.pairs()
            return found

    def forgotten(self) -> set[str]:
        """Models that had to make room since the last time."""
        with self._lock:
            gone, self._forgotten = self._forgotten, set()
            return gone - self._models.keys()

    def restore(self, model: str, family: Family, pairs: Iterable[Pair]) -> None:
        """Takes what a store kept of a model."""
        with self._lock:
            known = self._model(model, family)
            for pair in pairs:
                if pair.request not in known.requests:
                    self._put(known, pair)
            known.unsaved = False

    def _model(self, name: str, family: Family) -> _Known:
        known = self._models.get(name)
        if known is None or known.family is not family:
            known = self._models[name] = _Known(family)
        self._models.move_to_end(name)
        if len(self._models) > MODELS_MAX:
            self._forgotten.add(self._models.popitem(last=False)[0])
        return known

    @staticmethod
    def _put(known: _Known, pair: Pair) -> None:
        row = _row(known.family, pair)
        window = known.windows[max(range(len(_SCRIPTS)), key=lambda place: row[place])]
        if len(window) == PAIRS_MAX:
            known.requests.discard(window[0].request)
        window.append(pair)
        known.requests.add(pair.request)
        known.news += 1
        known.unsaved = True


def request_digest(request_id: str) -> str:
    """What stands for a request's id."""
    return hashlib.blake2b(request_id.encode(), digest_size=_REQUEST_DIGEST_BYTES).hexdigest()


def _row(family: Family, pair: Pair) -> list[float]:
    """The terms of a call, as the family's table estimates them; the last is the extra's."""
    priors = [_TABLE.ratio("", family, script).permille for script in _SCRIPTS]
    counted = (pair.latin, pair.cjk, pair.other)
    texts = [tokens * prior / 1000 for tokens, prior in zip(counted, priors, strict=True)]
    return [*texts, pair.tools * priors[0] / 1000, float(pair.overhead), 1.0]


def _fitted(family: Family, pairs: Sequence[Pair]) -> Fit:
    bounds = [_TABLE.ratio("", family, script).bound_permille for script in _SCRIPTS]
    prior = Prior(
        means=(1.0,) * PARTS + (0.0,),
        deviations=(
            *(bound / 2000 for bound in bounds),
            _TOOLS_DEVIATION,
            _OVERHEAD_DEVIATION,
            _EXTRA_DEVIATION,
        ),
    )
    rows = [_row(family, pair) for pair in pairs]
    return fit(rows, [pair.reported for pair in pairs], prior)


def _use(known: _Known, family: Family, found: Fit, calls: int) -> None:
    """Takes the ratios that were found, unless they are those in use."""
    ratios = tuple(
        _ratio(_TABLE.ratio("", family, script), found, place)
        for place, script in enumerate(_SCRIPTS)
    )
    fixes = Fixes(
        tools_permille=round(found.factors[3] * 1000),
        overhead_permille=round(found.factors[4] * 1000),
        extra_millis=round(found.factors[TERMS - 1] * 1000),
        overhead_bound_permille=round(2000 * found.deviations[4] / found.factors[4]),
        tools_bound_permille=round(
            1000 * (found.spread + 2 * found.deviations[3] / found.factors[3])
        ),
    )
    known.news = 0
    known.calls = calls
    known.due = known.unsaved
    if known.ratios and not _moved(known, ratios, fixes):
        return
    known.ratios, known.fixes = ratios, fixes
    known.generation += 1


def _ratio(table: Ratio, found: Fit, place: int) -> Ratio:
    """The table's ratio times the factor. Its bound is what 19 of 20 calls kept to, and twice
    what the factor is still uncertain by; a script that no call was in keeps the table's."""
    before, after = table.bound_permille / 2000, found.deviations[place]
    factor = found.factors[place]
    bound = round(1000 * (found.spread + 2 * after / factor))
    if after > before / 2:  # hardly anything was seen of it
        bound = table.bound_permille
    return Ratio(round(table.permille * factor), max(bound, _BOUND_PERMILLE_MIN))


def _moved(known: _Known, ratios: Sequence[Ratio], fixes: Fixes) -> bool:
    for old, new in zip(known.ratios, ratios, strict=True):
        if abs(old.permille - new.permille) * 1000 > _MOVE_PERMILLE_MIN * old.permille:
            return True
        if abs(old.bound_permille - new.bound_permille) * 5 > old.bound_permille:
            return True
    return (
        abs(known.fixes.tools_permille - fixes.tools_permille) > 20
        or abs(known.fixes.overhead_permille - fixes.overhead_permille) > 50
        or abs(known.fixes.extra_millis - fixes.extra_millis) > 1000
    )
