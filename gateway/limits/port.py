"""The port between the gateway and where rates are counted."""

from collections.abc import Sequence
from typing import Protocol

from gateway.limits.rules import Bucket, Refused, Slot


class LimiterUnavailable(Exception):
    """Where rates are counted did not answer. The text is an error's type."""


class Limiter(Protocol):
    """Counts."""

    async def admit(
        self,
        buckets: Sequence[Bucket],
        slots: Sequence[Slot],
        call_id: str,
        slot_seconds: float,
    ) -> Refused | None:
        """Takes from every bucket and a place in every slot, or from none; None when it did.

        A place that nobody gives back is free again after `slot_seconds`. Of several refusals
        the one with the longest wait is told. Raises: LimiterUnavailable.
        """
        ...

    async def leave(self, slots: Sequence[Slot], call_id: str) -> None:
        """Gives the places back. Raises: LimiterUnavailable."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...
