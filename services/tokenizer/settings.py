"""What the tokenizer can be told."""

from typing import Annotated

from pydantic import Field

from chassis.settings import ServiceSettings


class TokenizerSettings(ServiceSettings):
    """SPENDGATE_* variables of the tokenizer."""

    bulk_threads_max: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads for texts over 64 KiB. More than the machine has cores helps nobody."""

    memo_entries_max: Annotated[int, Field(ge=1, le=10**7)] = 50_000
    """Messages whose counts are remembered, by a keyed hash; 1,000 take about 0.3 MB."""

    conversation_messages_max: Annotated[int, Field(ge=1, le=10**7)] = 200_000
    """Messages of conversations that are known again by their beginning; 1,000 take 0.1 MB."""
