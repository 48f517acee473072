"""Which word pieces two texts share, in the same order or another: the verifier is told so."""

from collections.abc import Sequence

APART, IN_ORDER, OUT_OF_ORDER = 0, 1, 2


def align(a: Sequence[int], b: Sequence[int]) -> tuple[list[int], list[int]]:
    """A mark for each piece of `a` and of `b`: in their longest common subsequence (IN_ORDER),
    elsewhere in the other text (OUT_OF_ORDER), or nowhere in it (APART). O(len a * len b)."""
    lengths = _common(a, b)
    in_a, in_b = set(a), set(b)
    marks_a = [OUT_OF_ORDER if piece in in_b else APART for piece in a]
    marks_b = [OUT_OF_ORDER if piece in in_a else APART for piece in b]
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            marks_a[i] = marks_b[j] = IN_ORDER
            i += 1
            j += 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return marks_a, marks_b


def _common(a: Sequence[int], b: Sequence[int]) -> list[list[int]]:
    """Length of the longest common subsequence of a[i:] and b[j:], at [i][j]."""
    width = len(b)
    below = [0] * (width + 1)
    rows = [below]
    for piece in reversed(a):
        row = [0] * (width + 1)
        for j in range(width - 1, -1, -1):
            if piece == b[j]:
                row[j] = below[j + 1] + 1
            else:
                down, right = below[j], row[j + 1]
                row[j] = down if down > right else right
        rows.append(row)
        below = row
    rows.reverse()
    return rows
