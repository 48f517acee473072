"""What the tokenizer can be told."""

from typing import Annotated

from pydantic import Field

from chassis.settings import ServiceSettings


class TokenizerSettings(ServiceSettings):
    """SPENDGATE_* variables of the tokenizer."""

    count_threads_max: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads for big texts. More than the machine has cores helps nobody."""
