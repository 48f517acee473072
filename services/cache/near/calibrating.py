"""Decisions for features, by the judge's own calibration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from services.cache.semantic.calibrate import (
    FORMAT,
    OUTCOMES_MIN,
    STRICTER_MAX,
    Calibration,
    Standing,
)
from services.cache.semantic.decide import Decision, Learned, default_decision
from services.cache.semantic.features import NAMES

__all__ = ["OUTCOMES_MIN", "STRICTER_MAX", "Lines"]

_Row = tuple[tuple[float, ...], bool]


class Lines:
    """services.cache.near.decisions.Calibrator, over lines of features."""

    def default(self) -> Decision:
        """As the port says."""
        return default_decision()

    def stricter(self, features: Sequence[float], decision: Decision) -> float:
        """As the port says."""
        if len(features) != len(NAMES):
            return 0.0
        after = Calibration().report_wrong(tuple(features), decision)
        return after.stricter - decision.stricter

    def learn(self, outcomes: Sequence[_Row], target: float) -> tuple[Decision | None, str]:
        """As the port says."""
        kept = [[*seen, int(right)] for seen, right in outcomes if len(seen) == len(NAMES)]
        state = {
            "format": FORMAT, "features": NAMES, "outcomes": kept,
            "stricter": 0.0, "right_since": 0,
        }  # fmt: skip
        result = Calibration.from_bytes(json.dumps(state).encode()).settle(target)
        learned = result.standing is Standing.LEARNED or result.decision.closed
        return result.decision if learned else None, result.reason

    def told(self, decision: Decision) -> Mapping[str, Any]:
        """As the port says."""
        learned = asdict(decision.learned) if decision.learned is not None else None
        return {
            "features": NAMES,
            "learned": learned,
            "p_min": decision.p_min,
            "closed": decision.closed,
        }

    def read(self, told: Mapping[str, Any]) -> Decision | None:
        """As the port says."""
        try:
            if tuple(told["features"]) != NAMES:
                return None
            line = told["learned"]
            learned = None
            if line is not None:
                learned = Learned(
                    centre=tuple(map(float, line["centre"])),
                    scale=tuple(map(float, line["scale"])),
                    weights=tuple(map(float, line["weights"])),
                    intercept=float(line["intercept"]),
                    cut=float(line["cut"]),
                )
            return replace(
                default_decision(),
                learned=learned,
                p_min=float(told["p_min"]),
                closed=bool(told["closed"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
