"""How many retries a provider's traffic allows: a bucket that calls fill and retries empty.

As in gRPC's retry throttling and Finagle's retry budgets: while all goes well retries are free,
and when everything fails they add a share of the traffic, not a multiple of it.
"""

import time
from collections.abc import Callable

REFILL_PER_SECOND = 1.0


class Allowance:
    """Of one provider."""

    def __init__(
        self, percent: int, retries_min: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`percent`: retries that a hundred calls allow. `retries_min` may come at once."""
        self._percent = percent
        self._most = max(retries_min, percent)
        self._least = retries_min
        self._tokens = float(retries_min)
        self._clock = clock
        self._filled = clock()

    def called(self) -> None:
        """A call was made that is no retry."""
        self._tokens = min(self._most, self._tokens + self._percent / 100)

    def take(self) -> bool:
        """Whether a retry may be made now; if so it counts as made."""
        now = self._clock()
        if self._tokens < self._least:
            refill = (now - self._filled) * REFILL_PER_SECOND
            self._tokens = min(self._least, self._tokens + refill)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
