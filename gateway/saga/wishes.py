"""What is to be done to a prompt before it is sent: as the caller says, else the fleet file."""

import hashlib
from dataclasses import dataclass
from typing import Final

from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.prompts import CompressionLevel, ContextChoice, PromptPolicy

BUDGET_TOKENS_DEFAULT: Final = 32_000
PERMILLE_A_PERCENT: Final = 10

_LEVELS: Final = {
    CompressionLevel.OFF: pb.COMPRESSION_LEVEL_OFF,
    CompressionLevel.LOSSLESS: pb.COMPRESSION_LEVEL_LOSSLESS,
    CompressionLevel.TOOL_RESULTS: pb.COMPRESSION_LEVEL_TOOL_RESULTS,
    CompressionLevel.WORDING: pb.COMPRESSION_LEVEL_WORDING,
    CompressionLevel.EXTRACT: pb.COMPRESSION_LEVEL_EXTRACT,
}
_CHOICES: Final = {
    ContextChoice.ALL: pb.CONTEXT_POLICY_ALL,
    ContextChoice.AUTO: pb.CONTEXT_POLICY_AUTO,
    ContextChoice.APPEND_ONLY: pb.CONTEXT_POLICY_APPEND_ONLY,
    ContextChoice.SLIDING_WINDOW: pb.CONTEXT_POLICY_SLIDING_WINDOW,
    ContextChoice.WINDOW_WITH_FACTS: pb.CONTEXT_POLICY_WINDOW_WITH_FACTS,
    ContextChoice.SUMMARY: pb.CONTEXT_POLICY_SUMMARY,
}
_POLICIES: Final = {
    pb.CONTEXT_POLICY_AUTO: tokenizer_pb.CONTEXT_POLICY_AUTO,
    pb.CONTEXT_POLICY_APPEND_ONLY: tokenizer_pb.CONTEXT_POLICY_APPEND_ONLY,
    pb.CONTEXT_POLICY_SLIDING_WINDOW: tokenizer_pb.CONTEXT_POLICY_SLIDING_WINDOW,
    pb.CONTEXT_POLICY_WINDOW_WITH_FACTS: tokenizer_pb.CONTEXT_POLICY_WINDOW_WITH_FACTS,
    pb.CONTEXT_POLICY_SUMMARY: tokenizer_pb.CONTEXT_POLICY_SUMMARY,
}
_LOSSLESS: Final = (
    tokenizer_pb.COMPRESS_RULE_JSON,
    tokenizer_pb.COMPRESS_RULE_WHITESPACE,
    tokenizer_pb.COMPRESS_RULE_DUPLICATES,
)
_WORDING: Final = (
    tokenizer_pb.COMPRESS_RULE_FILLERS,
    tokenizer_pb.COMPRESS_RULE_ABBREVIATIONS,
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Resolved: nothing here is left to a default."""

    level: pb.CompressionLevel = pb.COMPRESSION_LEVEL_OFF
    keep_permille: int = 500
    policy: pb.ContextPolicy = pb.CONTEXT_POLICY_ALL
    budget_tokens: int = BUDGET_TOKENS_DEFAULT
    summary_model: str = ""
    expected_rest_turns: int | None = None
    # The caller himself said that all of it is to be sent.
    all_wanted: bool = False

    @property
    def fits(self) -> bool:
        """Whether the conversation may be cut."""
        return self.policy != pb.CONTEXT_POLICY_ALL

    def cached_as(self, model: str) -> str:
        """The name answers are cached under. An answer to a prompt that may have lost something
        is not served to one who asked for all of it."""
        if self.level <= pb.COMPRESSION_LEVEL_LOSSLESS and not self.fits:
            return model
        kind = (model, self.level, self.keep_permille, self.policy, self.budget_tokens)
        return "shaped:" + hashlib.sha256(repr((*kind, self.summary_model)).encode()).hexdigest()

    def compress_options(self) -> tokenizer_pb.CompressOptions | None:
        """For the tokenizer; None when nothing is to be made shorter."""
        if self.level == pb.COMPRESSION_LEVEL_OFF:
            return None
        options = tokenizer_pb.CompressOptions(rules=_LOSSLESS)
        if self.level >= pb.COMPRESSION_LEVEL_TOOL_RESULTS:
            options.rules.append(tokenizer_pb.COMPRESS_RULE_ELIDE)
        if self.level >= pb.COMPRESSION_LEVEL_WORDING:
            options.rules.extend(_WORDING)
            options.instructions = True
        if self.level >= pb.COMPRESSION_LEVEL_EXTRACT:
            options.rules.append(tokenizer_pb.COMPRESS_RULE_EXTRACT)
            options.keep_permille = self.keep_permille
        return options

    def fit_options(self) -> tokenizer_pb.FitOptions | None:
        """For the tokenizer, without prices; None when nothing may be cut."""
        if not self.fits:
            return None
        options = tokenizer_pb.FitOptions(
            policy=_POLICIES[self.policy], budget_tokens=self.budget_tokens
        )
        if self.expected_rest_turns is not None:
            options.expected_rest_turns = self.expected_rest_turns
        return options


def wishes_of(options: pb.RequestOptions, policy: PromptPolicy) -> Wishes:
    """What the caller says wins over what the fleet file says."""
    context, compression = options.context, options.compression
    rest = context.expected_rest_turns if context.HasField("expected_rest_turns") else None
    return Wishes(
        level=compression.level or _LEVELS[policy.compression],
        keep_permille=(compression.keep_percent or policy.keep_percent) * PERMILLE_A_PERCENT,
        policy=context.policy or _CHOICES[policy.context],
        budget_tokens=context.budget_tokens or policy.budget_tokens or BUDGET_TOKENS_DEFAULT,
        summary_model=context.summary_model or policy.summary_model or "",
        expected_rest_turns=rest,
        all_wanted=context.policy == pb.CONTEXT_POLICY_ALL,
    )
