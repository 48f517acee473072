"""Stops asking a store that does not answer, and asks again with one call at a time."""

from collections.abc import Callable

FAILURES_MAX = 3
OPEN_SECONDS = 0.5


class Breaker:
    """Closed until `failures_max` failures in a row; open for `open_seconds`; then one trial.

    A trial that succeeds closes it, one that fails opens it again. `clock` is monotonic, in
    seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        failures_max: int = FAILURES_MAX,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        self._clock = clock
        self._failures_max = failures_max
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._on_trial = False

    @property
    def closed(self) -> bool:
        """True while calls go through."""
        return self._opened_at is None

    def admits(self) -> bool:
        """Whether a call may go. Who is let through must say how it ended."""
        if self._opened_at is None:
            return True
        if self._on_trial or self._clock() - self._opened_at < self._open_seconds:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        """The call came back."""
        self._failures = 0
        self._opened_at = None
        self._on_trial = False

    def failed(self) -> None:
        """The call did not come back."""
        self._failures += 1
        self._on_trial = False
        if self._opened_at is not None or self._failures >= self._failures_max:
            self._opened_at = self._clock()

    def abandoned(self) -> None:
        """The caller left before the call ended: it proves nothing."""
        self._on_trial = False
