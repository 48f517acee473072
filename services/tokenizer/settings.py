"""What the tokenizer can be told."""

from typing import Annotated

from pydantic import Field

from chassis.settings import ServiceSettings


class TokenizerSettings(ServiceSettings):
    """SPENDGATE_* variables of the tokenizer."""

    bulk_threads_max: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads for texts over 64 KiB. More than the machine has cores helps nobody."""
