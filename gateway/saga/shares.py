"""A total told for several texts, shared out among them."""

from collections.abc import Sequence


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Whole numbers that add up to `total`, in proportion to `weights` (not empty, none below 0).

    What rounding leaves goes to the first ones.
    """
    weighed = sum(weights)
    if weighed == 0:
        weights, weighed = [1] * len(weights), len(weights)
    found = [total * weight // weighed for weight in weights]
    for place in range(total - sum(found)):
        found[place % len(found)] += 1
    return found
