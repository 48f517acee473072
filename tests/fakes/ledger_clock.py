"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SetClock:
    """Gives microseconds since 1970, as the ledger's clock does."""

    def __init__(self, at: datetime = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)) -> None:
        self.set(at)

    def __call__(self) -> int:
        return self.now_us

    def set(self, at: datetime) -> None:
        self.now_us = (at - _EPOCH) // timedelta(microseconds=1)

    def go_on(self, seconds: int) -> None:
        self.now_us += seconds * 1_000_000
