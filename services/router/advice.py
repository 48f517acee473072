"""What is known of one prompt when a model is picked for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected score, 0 to 1, its standard error, how far own outcomes stand behind it, 0 to 1."""

    quality: float
    spread: float
    trust: float

    @property
    def low(self) -> float:
        """What it is at least, nine times in ten."""
        return max(self.quality - ONE_SIDED * self.spread, 0.0)


ONE_SIDED = 1.28
"""Standard errors below the mean for a one-sided bound of 90 %."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Predictions for one prompt, by configured model name.

    `need`: 0 to 1, how much a strong model would gain. `pays`: whether routing has been shown to
    pay on the tenant's outcomes (None: too few to tell). `nearest`: request ids of the
    labelled prompts most like it, nearest first. `labels`: how many the tenant has.
    """

    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    need: float = 0.5
    pays: bool | None = None
    nearest: Sequence[str] = ()
    output_tokens: Mapping[str, int] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    labels: int = 0
    # The bound that was applied for the tenant; None: the fleet file's.
    quality_percent_min: int | None = None
