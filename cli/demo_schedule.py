"""Which request of the day goes next when a few callers share the work."""

from collections.abc import Mapping, Sequence

from cli.demo_rows import Row

# How far down the day a caller may go past a request that must wait: by and large the day keeps
# its order.
LOOK_AHEAD_ROWS = 16


class Schedule:
    """Hands rows out in the day's order, each when what it depends on is done."""

    def __init__(
        self,
        rows: Sequence[Row],
        depends_on: Mapping[str, frozenset[str]],
        *,
        look_ahead_rows: int = LOOK_AHEAD_ROWS,
    ) -> None:
        self._waiting = dict(enumerate(rows))
        self._depends_on = depends_on
        self._look_ahead_rows = look_ahead_rows
        self._done: set[str] = set()

    @property
    def finished(self) -> bool:
        """True when every row was handed out."""
        return not self._waiting

    def take(self) -> list[Row]:
        """The next row, or all rows of the next burst together; none when all must wait."""
        last = next(iter(self._waiting), 0) + self._look_ahead_rows
        for place, row in self._waiting.items():
            if place > last:
                break
            if self._depends_on[row.id] <= self._done:
                places = [place]
                if row.burst:
                    places = [p for p, r in self._waiting.items() if r.burst == row.burst]
                return [self._waiting.pop(place) for place in places]
        return []

    def done(self, row: Row) -> None:
        """Marks a row that was handed out as done."""
        self._done.add(row.id)
