"""How long calls of a model take, as lately seen."""

from collections import deque

CALLS_MAX = 256


class Pace:
    """Of one model at one provider, for one way of answering."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=CALLS_MAX)

    def note(self, seconds: float) -> None:
        """A call was answered in so long."""
        self._seconds.append(seconds)

    def percentile(self, percent: int, calls_min: int) -> float | None:
        """Seconds in which `percent` of the last calls were answered. None: too few were seen."""
        if len(self._seconds) < calls_min:
            return None
        ordered = sorted(self._seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
