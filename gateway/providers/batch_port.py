"""The port to a provider's batch endpoint: many prompts handed over at once, answered later.

Errors are those of the provider port: fixed words, never text of the provider.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from chassis.deadline import Deadline
from gateway.providers.port import ProviderAnswer, ProviderCall, ProviderError


class BatchStage(StrEnum):
    """Where a provider's batch is."""

    UNDER_WAY = "UNDER_WAY"
    # Nothing more will come; what is answered can be fetched.
    ENDED = "ENDED"
    # The provider would not take it: nothing was done and nothing is billed.
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class BatchItemResult:
    """What became of one item. `error` where there is no answer; `lost`: it was not worked on,
    so another try may do."""

    item_id: str
    answer: ProviderAnswer | None
    error: ProviderError | None = None
    lost: bool = False


class BatchProvider(Protocol):
    """One provider's batch endpoint. An implementation must not retry or log content."""

    def line(self, item_id: str, call: ProviderCall) -> bytes:
        """An item as the endpoint takes it, its newline included.

        Raises: ProviderRefused when the call cannot be written so.
        """
        ...

    async def submit(self, items: Path, name: str, deadline: Deadline) -> str:
        """Hands over a file of lines under a `name` of ours; the provider's id of the batch.

        Raises: ProviderRefused, ProviderUnavailable; then it may have been taken all the same,
        which `find` tells.
        """
        ...

    async def find(self, name: str, deadline: Deadline) -> str | None:
        """The provider's id of the batch that was handed over under `name`, None when there is
        none. Must look at all that could be it. Raises: ProviderRefused, ProviderUnavailable."""
        ...

    async def look(self, batch_id: str, deadline: Deadline) -> BatchStage:
        """Where it is. Raises: ProviderRefused, ProviderUnavailable."""
        ...

    def results(self, batch_id: str, deadline: Deadline) -> AsyncGenerator[BatchItemResult, None]:
        """What became of its items, in any order; an item that is missing was not worked on.

        Raises: ProviderRefused, ProviderUnavailable. The caller must close the generator.
        """
        ...

    async def cancel(self, batch_id: str, deadline: Deadline) -> None:
        """Asks for its end. What is done until then is billed and comes with the results.

        Raises: ProviderRefused, ProviderUnavailable.
        """
        ...
