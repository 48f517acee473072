"""Which request of the day goes next when a few callers share the work."""

from collections.abc import Mapping, Sequence

from cli.demo_rows import Row

# How far a caller may look past a request that must wait: the day keeps its order by and large.
LOOK_AHEAD_ROWS = 12


class Schedule:
    """Hands rows out in the day's order, each when what it depends on is done."""

    def __init__(
        self,
        rows: Sequence[Row],
        depends_on: Mapping[str, frozenset[str]],
        *,
        look_ahead_rows: int = LOOK_AHEAD_ROWS,
    ) -> None:
        self._waiting = list(rows)
        self._depends_on = depends_on
        self._look_ahead_rows = look_ahead_rows
        self._done: set[str] = set()

    @property
    def finished(self) -> bool:
        """True when every row was handed out."""
        return not self._waiting

    def take(self) -> list[Row]:
        """The next row, or all rows of the next burst together; none when all must wait."""
        for row in self._waiting[: self._look_ahead_rows]:
            if self._depends_on[row.id] <= self._done:
                taken = [row]
                if row.burst:
                    taken = [other for other in self._waiting if other.burst == row.burst]
                for one in taken:
                    self._waiting.remove(one)
                return taken
        return []

    def done(self, row: Row) -> None:
        """Marks a row that was handed out as done."""
        self._done.add(row.id)
