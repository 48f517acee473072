"""How many requests may be worked on at once: found from how long the work takes.

The more work is under way on a machine that is busy already, the longer each takes and the less is
done. So the time of the work tells the limit. What is measured is the fleet's own work only: what a
provider takes says nothing about this machine, and a call that waits for one needs no place here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

# A window of measurements ends after so long, if it has so many.
WINDOW_SECONDS = 0.1
WINDOW_SAMPLES_MIN = 10
# Work may take so many times its time on an idle machine before there is too much of it.
TOLERANCE = 2.0
# No window takes more than half of the limit away.
GRADIENT_MIN = 0.5
# The time on an idle machine is the least that was seen; it is forgotten by so much a window, for
# what is idle changes: a ledger moves, a prompt gets longer. Twice as long after about two minutes.
IDLE_FORGOTTEN = 1.0006
# A limit that nobody came near says nothing about what a higher one would do.
USED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class LimitBounds:
    """What the limit keeps to. `first` is where it begins; work as short as `target_seconds` is
    never too long, whatever it takes on an idle machine."""

    least: int
    most: int
    first: int
    target_seconds: float


class AdaptiveLimit:
    """A limit on concurrency by the gradient of the work's time.

    The rule of Netflix's concurrency-limits, Gradient2Limit: a window whose mean time t is over
    the tolerated time T shrinks the limit to limit * max(1/2, T / t); any other, if the limit was
    used, lets it grow by sqrt(limit). T is the larger of the operator's target and twice the idle
    time, which unlike there is a slowly forgotten minimum: an average over the overload would take
    the overload for normal. Growth that is additive and shrinking that is multiplicative converge
    to fair use of what there is (Chiu and Jain, 1989).
    """

    def __init__(self, bounds: LimitBounds, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that never go back."""
        self._bounds = bounds
        self._clock = clock
        self._limit = float(bounds.first)
        self._idle_seconds = math.inf
        self._began = clock()
        self._samples = 0
        self._total_seconds = 0.0
        self._peak = 0

    @property
    def value(self) -> int:
        """Places there are."""
        return int(self._limit)

    def note(self, seconds: float, at_work: int) -> None:
        """A request's work took so long, while `at_work` were worked on, itself included."""
        self._samples += 1
        self._total_seconds += seconds
        self._peak = max(self._peak, at_work)
        now = self._clock()
        if self._samples < WINDOW_SAMPLES_MIN or now - self._began < WINDOW_SECONDS:
            return
        self._adapt(self._total_seconds / self._samples)
        self._began = now
        self._samples, self._total_seconds, self._peak = 0, 0.0, 0

    def _adapt(self, mean_seconds: float) -> None:
        bounds = self._bounds
        self._idle_seconds = min(self._idle_seconds * IDLE_FORGOTTEN, mean_seconds)
        tolerated = max(bounds.target_seconds, TOLERANCE * self._idle_seconds)
        if mean_seconds > tolerated:
            self._limit *= max(GRADIENT_MIN, tolerated / mean_seconds)
        elif self._peak >= USED_SHARE * self._limit:
            self._limit += math.sqrt(self._limit)
        self._limit = min(max(self._limit, bounds.least), bounds.most)
