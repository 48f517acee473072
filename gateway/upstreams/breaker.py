"""Leaves a model that keeps failing alone for a while, then looks whether it is back.

Closed, calls pass and are judged by their share of failures in a window. Open, none passes. After
a while it is half-open: one call passes, as a probe, and its end closes it or opens it for longer.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from catalog.resilience import BreakerConfig

# Newest calls that are judged, however many a window sees.
CALLS_MAX = 256


class State(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. It is to be given back with how that ended."""

    probe: bool


class Breaker:
    """Of one model at one provider."""

    def __init__(self, config: BreakerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self.config = config
        self._clock = clock
        self._ends: deque[tuple[float, bool]] = deque(maxlen=CALLS_MAX)
        self._open_until: float | None = None
        self._open_seconds = config.open_seconds
        self._probing = False

    @property
    def state(self) -> State:
        """As it is now."""
        if self._open_until is None:
            return State.CLOSED
        half = self._probing or self._clock() >= self._open_until
        return State.HALF_OPEN if half else State.OPEN

    def permit(self) -> Permit | None:
        """Leave for a call. None: it is open, or its probe is under way."""
        if not self.config.enabled or self._open_until is None:
            return Permit(probe=False)
        if self._probing or self._clock() < self._open_until:
            return None
        self._probing = True
        return Permit(probe=True)

    def left_seconds(self) -> float:
        """Until the next call passes; 0 when one does now."""
        if self._open_until is None:
            return 0.0
        return max(0.0, self._open_until - self._clock())

    def succeeded(self, permit: Permit) -> None:
        """The provider did its work, or refused it for the request's own sake."""
        if permit.probe:
            self._probing = False
            self._open_until = None
            self._open_seconds = self.config.open_seconds
            self._ends.clear()
        elif self._open_until is None:
            self._ends.append((self._clock(), True))

    def failed(self, permit: Permit) -> bool:
        """The provider is at fault. True when that opened it."""
        now = self._clock()
        if permit.probe:
            self._probing = False
            self._open_seconds = min(self._open_seconds * 2, self.config.open_seconds_max)
            self._open_until = now + self._open_seconds
            return True
        if self._open_until is not None:
            return False  # begun before it opened: nothing new
        self._ends.append((now, False))
        if not self._too_many(now):
            return False
        self._open_until = now + self._open_seconds
        self._ends.clear()
        return True

    def undecided(self, permit: Permit) -> None:
        """The call was given up before it told anything."""
        if permit.probe:
            self._probing = False

    def _too_many(self, now: float) -> bool:
        while self._ends and self._ends[0][0] < now - self.config.window_seconds:
            self._ends.popleft()
        failures = sum(not well for _, well in self._ends)
        return (
            self.config.enabled
            and len(self._ends) >= self.config.calls_min
            and failures * 100 >= self.config.failure_percent * len(self._ends)
        )
