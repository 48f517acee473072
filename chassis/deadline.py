"""How long a piece of work may still take."""

import time
from dataclasses import dataclass
from typing import Self


class DeadlinePassed(Exception):
    """The time for this piece of work is up."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The moment `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def left_seconds(self) -> float:
        """Seconds left; negative once it has passed."""
        return self.at - time.monotonic()

    @property
    def passed(self) -> bool:
        """True once no time is left."""
        return self.left_seconds() <= 0

    def sooner(self, seconds: float) -> "Deadline":
        """This deadline, or the moment `seconds` from now when that comes first."""
        return Deadline(min(self.at, time.monotonic() + seconds))
