"""What is done to prompts before they are sent, as an operator may write it in the fleet file."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from catalog.shapes import Name, Section, Tokens


class CompressionLevel(StrEnum):
    """How far prompts are made shorter. Each level does what the one before does."""

    OFF = "off"
    LOSSLESS = "lossless"
    TOOL_RESULTS = "tool_results"
    WORDING = "wording"
    EXTRACT = "extract"


class ContextChoice(StrEnum):
    """How much of a conversation is sent."""

    ALL = "all"
    AUTO = "auto"
    APPEND_ONLY = "append_only"
    SLIDING_WINDOW = "sliding_window"
    WINDOW_WITH_FACTS = "window_with_facts"
    SUMMARY = "summary"


class PromptPolicy(Section):
    """What holds for requests that do not say it themselves."""

    compression: CompressionLevel = CompressionLevel.LOSSLESS
    """lossless: JSON and blanks of tool results, results said twice. tool_results: old ones become
    stubs too. wording: fillers and long phrases go, in instructions and questions. extract: the
    sentences that matter most are kept."""
    keep_percent: Annotated[int, Field(ge=1, le=99)] = 50
    """For extract: tokens to keep of each text."""
    context: ContextChoice = ContextChoice.ALL
    """all: nothing is ever left out. auto: the beginning of a long conversation is left out when
    that pays; what was exact in it stays as facts. The others are fixed ways of cutting."""
    budget_tokens: Tokens | None = None
    """A cut goes down to half of it; fixed ways cut above it. Default: 32,000."""
    summary_model: Name | None = None
    """For summary: the model that writes it, a key of `models`. Default: its weightiest sentences
    are taken, and no model is asked."""


class PromptsConfig(PromptPolicy):
    """What is done to prompts before they are sent."""

    features: dict[Name, PromptPolicy] = Field(default={}, max_length=256)
    """Other ways for some of the callers' features. Default: the same for all."""

    def policy_for(self, feature: str) -> PromptPolicy:
        """What holds for a feature."""
        return self.features.get(feature, self)
