"""A robust fit of what providers report to what was counted.

reported = sum over parts of factor x (part as the family's table estimates it) + extra. Factors
start at 1 and extra at 0; how firmly, the table's own bounds say (a ridge, or the posterior of a
normal prior). Rows are weighed by Tukey's bisquare over relative errors, begun at the median, so
that under half of the rows may be nonsense. Pure arithmetic; 384 rows take some 20 ms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.tokenizer.learn.pair import TERMS

ROUNDS: Final = 12
# Tukey's constant for 95 % efficiency, and what makes the median deviation a standard one.
_TUKEY: Final = 4.685
_MAD_TO_SD: Final = 1.4826
# Relative errors are no smaller than rounding makes them.
_SD_MIN: Final = 0.004
# Rows further off than this share of the estimate tell nothing while the fit is still coarse.
_FAR: Final = 0.5
FACTOR_MIN: Final = 0.2
FACTOR_MAX: Final = 5.0
_QUANTILE: Final = 0.95
# A handful of calls lies on almost any line: the spread begins as if two had been this far off.
_FEW: Final = 2
_FEW_SPREAD: Final = 0.2


@dataclass(frozen=True, slots=True)
class Prior:
    """How firmly a term is believed in before any call: its standard deviation."""

    means: tuple[float, ...]
    deviations: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """`factors`: one a part, the extra tokens last; `deviations`: how uncertain each still is.

    `spread`: 19 of 20 calls were within this share of what the fit gives.
    """

    factors: tuple[float, ...]
    deviations: tuple[float, ...]
    spread: float


def fit(rows: Sequence[Sequence[float]], reported: Sequence[float], prior: Prior) -> Fit:
    """Fits `rows`, one a call with TERMS values (the last is 1), to what was reported.

    Every row's own estimate, the sum of its values but the last, must be above 0.
    """
    sizes = [sum(row[:-1]) for row in rows]
    shares = [[value / size for value in row] for row, size in zip(rows, sizes, strict=True)]
    targets = [each / size for each, size in zip(reported, sizes, strict=True)]
    middle = _median(targets)
    factors = [middle] * (TERMS - 1) + [0.0]
    deviation = max(_MAD_TO_SD * _median([abs(each - middle) for each in targets]), _SD_MIN)
    deviation = min(deviation, _FAR)
    covariance: list[list[float]] = []
    for _ in range(ROUNDS):
        errors = _errors(shares, targets, factors)
        weights = [_bisquare(error / (_TUKEY * deviation)) for error in errors]
        factors, covariance = _solve(shares, targets, weights, deviation, prior)
        errors = _errors(shares, targets, factors)
        deviation = max(_MAD_TO_SD * _median([abs(each) for each in errors]), _SD_MIN)
    # Of the rows that were believed: what was left out were wrong reports, not wrong estimates.
    near = [abs(each) for each in errors if abs(each) < _TUKEY * deviation]
    spread = _quantile(near or [deviation], _QUANTILE)
    spread = math.sqrt((_FEW * _FEW_SPREAD**2 + len(near) * spread**2) / (_FEW + len(near)))
    kept = [min(max(each, FACTOR_MIN), FACTOR_MAX) for each in factors[:-1]]
    return Fit(
        factors=(*kept, factors[-1]),
        deviations=tuple(math.sqrt(max(covariance[term][term], 0.0)) for term in range(TERMS)),
        spread=spread,
    )


def _errors(
    shares: Sequence[Sequence[float]], targets: Sequence[float], factors: Sequence[float]
) -> list[float]:
    """Relative to what the factors give, so that twice and half are as far off."""
    errors = []
    for row, target in zip(shares, targets, strict=True):
        given = sum(factor * value for factor, value in zip(factors, row, strict=True))
        errors.append((target - given) / max(given, FACTOR_MIN))
    return errors


def _bisquare(scaled_error: float) -> float:
    return (1 - scaled_error * scaled_error) ** 2 if abs(scaled_error) < 1 else 0.0


def _solve(
    shares: Sequence[Sequence[float]],
    targets: Sequence[float],
    weights: Sequence[float],
    deviation: float,
    prior: Prior,
) -> tuple[list[float], list[list[float]]]:
    """(factors, their covariance): weighted least squares with a normal prior."""
    precision = 1 / (deviation * deviation)
    matrix = [[0.0] * TERMS for _ in range(TERMS)]
    vector = [0.0] * TERMS
    for row, target, weight in zip(shares, targets, weights, strict=True):
        if not weight:
            continue
        heavy = weight * precision
        for i, left in enumerate(row):
            if left:
                vector[i] += heavy * left * target
                for j in range(TERMS):
                    matrix[i][j] += heavy * left * row[j]
    for term, (mean, believed) in enumerate(zip(prior.means, prior.deviations, strict=True)):
        matrix[term][term] += 1 / (believed * believed)
        vector[term] += mean / (believed * believed)
    covariance = _inverse(matrix)
    factors = [sum(each * v for each, v in zip(row, vector, strict=True)) for row in covariance]
    return factors, covariance


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """Gauss-Jordan; the prior makes the matrix positive definite."""
    size = len(matrix)
    rows = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        best = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[best] = rows[best], rows[column]
        pivot = rows[column][column]
        rows[column] = [value / pivot for value in rows[column]]
        for other in range(size):
            factor = rows[other][column]
            if other != column and factor:
                rows[other] = [
                    value - factor * own
                    for value, own in zip(rows[other], rows[column], strict=True)
                ]
    return [row[size:] for row in rows]


def _median(values: Sequence[float]) -> float:
    return _quantile(values, 0.5)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
