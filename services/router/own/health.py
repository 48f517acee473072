"""How each model has been doing lately, told by the calls that were reported."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from statistics import median

CALLS_KEPT_MAX = 64
CALLS_MIN = 10
WINDOW_SECONDS = 300.0
FAILED_PERCENT_MAX = 50


class Ending(Enum):
    """How a call ended."""

    OK = auto()
    ERROR = auto()
    RATE_LIMITED = auto()
    TIMEOUT = auto()


@dataclass(frozen=True, slots=True)
class Vitals:
    """Of the calls of the last WINDOW_SECONDS, at most CALLS_KEPT_MAX: shares from 0 to 1."""

    calls: int
    error_share: float
    rate_limited_share: float
    latency_ms: float | None

    @property
    def failing(self) -> bool:
        """Whether too many calls fail for automatic choice to take the model."""
        failed = self.error_share + self.rate_limited_share
        return self.calls >= CALLS_MIN and failed * 100 >= FAILED_PERCENT_MAX


class Health:
    """Vitals by configured model. `seconds` are of one monotonic clock."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[tuple[float, Ending, int]]] = {}

    def note(self, model: str, ending: Ending, latency_ms: int, seconds: float) -> None:
        """A call has ended."""
        kept = self._calls.setdefault(model, deque(maxlen=CALLS_KEPT_MAX))
        kept.append((seconds, ending, latency_ms))

    def vitals(self, model: str, seconds: float) -> Vitals:
        """How the model is doing at that moment."""
        recent = [c for c in self._calls.get(model, ()) if seconds - c[0] <= WINDOW_SECONDS]
        count = max(len(recent), 1)
        ended = [ending for _, ending, _ in recent]
        times = [ms for _, ending, ms in recent if ending is Ending.OK and ms > 0]
        return Vitals(
            len(recent),
            sum(ending in {Ending.ERROR, Ending.TIMEOUT} for ending in ended) / count,
            ended.count(Ending.RATE_LIMITED) / count,
            median(times) if times else None,
        )

    def unhealthy(self, seconds: float) -> Mapping[str, str]:
        """The models that fail too often, and how, for people."""
        found = {}
        for model in self._calls:
            vitals = self.vitals(model, seconds)
            if vitals.failing:
                failed = round((vitals.error_share + vitals.rate_limited_share) * vitals.calls)
                found[model] = f"{failed} of its last {vitals.calls} calls failed"
        return found
