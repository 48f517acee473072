"""Counts for models whose vocabulary is not public: o200k_base times a ratio by script.

The ratios are measured against o200k_base: Gemini/Gemma 3, Llama 3, DeepSeek V3, Qwen 3 and
Mistral's tekken with their own tokenizers on English, Chinese, Python and JSON (November 2026);
SmolLM2 with the model itself; Claude from published counts of its counting endpoint (Claude 3.5:
+16 % English, +30 % Python; 4.7 over 4.6: 1.20 to 1.46 English, 1.00 CJK). A ratio is the middle
of what was measured, its bound covers the texts that were measured and a little more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Script(Enum):
    """How a writing system behaves in a vocabulary."""

    LATIN = "latin"
    CJK = "cjk"
    OTHER = "other"


class Family(Enum):
    """Models that share a tokenizer, or nearly."""

    CLAUDE = "claude"
    CLAUDE_4_7 = "claude-4.7"
    GEMINI = "gemini"
    LLAMA = "llama"
    DEEPSEEK = "deepseek"
    QWEN = "qwen"
    MISTRAL = "mistral"
    SMOLLM = "smollm"
    # OpenAI models that no published table maps to a vocabulary.
    OPENAI_UNMAPPED = "openai-unmapped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Tokens per token of o200k_base, and how far the real number may be off, per thousand."""

    permille: int
    bound_permille: int


@dataclass(frozen=True, slots=True)
class Fixes:
    """What is learned beside the ratios: factors for tools and the chat format, tokens that every
    prompt has on top, all per thousand; and how far off tools and chat format may be now."""

    tools_permille: int = 1000
    overhead_permille: int = 1000
    extra_millis: int = 0
    overhead_bound_permille: int = 1000
    tools_bound_permille: int = 1000


class Ratios(Protocol):
    """Where ratios come from: a table, or what providers reported."""

    def ratio(self, model: str, family: Family, script: Script) -> Ratio:
        """The ratio for one model. Must answer for every family and script."""
        ...

    def fixes(self, model: str) -> Fixes:
        """What is learned of a model beside its ratios."""
        ...

    def calls(self, model: str) -> int:
        """From how many calls a model's ratios were learned; 0: from none."""
        ...

    def generation(self, model: str) -> int:
        """Must be another number whenever a model's answers above are."""
        ...


_TABLE: dict[Family, tuple[Ratio, Ratio, Ratio]] = {  # latin, cjk, other
    Family.CLAUDE: (Ratio(1200, 150), Ratio(1200, 250), Ratio(1250, 300)),
    Family.CLAUDE_4_7: (Ratio(1500, 270), Ratio(1200, 250), Ratio(1400, 350)),
    Family.GEMINI: (Ratio(1120, 80), Ratio(1000, 100), Ratio(1100, 200)),
    Family.LLAMA: (Ratio(1005, 40), Ratio(1030, 60), Ratio(1150, 250)),
    Family.DEEPSEEK: (Ratio(1040, 50), Ratio(920, 120), Ratio(1150, 250)),
    Family.QWEN: (Ratio(1060, 110), Ratio(960, 80), Ratio(1150, 250)),
    Family.MISTRAL: (Ratio(1120, 110), Ratio(1175, 90), Ratio(1150, 250)),
    Family.SMOLLM: (Ratio(1150, 200), Ratio(2250, 350), Ratio(3100, 350)),
    Family.OPENAI_UNMAPPED: (Ratio(1000, 100), Ratio(1000, 100), Ratio(1000, 150)),
    Family.UNKNOWN: (Ratio(1150, 300), Ratio(1150, 350), Ratio(1250, 400)),
}
_PLACE = {script: place for place, script in enumerate(Script)}


def prior_tokens(family: Family | None, script_millis: Sequence[int]) -> int:
    """Tokens of texts by the table, of thousandths of o200k_base tokens by script.

    Rounded half up.
    """
    if family is None:
        return (sum(script_millis) + 500) // 1000
    row = _TABLE[family]
    millionths = sum(
        millis * ratio.permille for millis, ratio in zip(script_millis, row, strict=True)
    )
    return (millionths + 500_000) // 1_000_000


def unscaled(family: Family | None, tokens: int) -> int:
    """The o200k_base tokens of Latin text that the table makes `tokens` of, rounded half up."""
    if family is None:
        return tokens
    permille = _TABLE[family][0].permille
    return (tokens * 1000 + permille // 2) // permille


class FixedRatios:
    """The table above."""

    def ratio(self, model: str, family: Family, script: Script) -> Ratio:
        """The family's ratio; `model` makes no difference here."""
        return _TABLE[family][_PLACE[script]]

    def fixes(self, model: str) -> Fixes:
        """None."""
        return _NO_FIXES

    def calls(self, model: str) -> int:
        """None."""
        return 0

    def generation(self, model: str) -> int:
        """Always the same."""
        return 0


_NO_FIXES = Fixes()


# Usual o200k_base tokens per 1,000 characters: what a script's share of a text weighs.
_WEIGHTS = {Script.LATIN: 250, Script.CJK: 750, Script.OTHER: 400}
# First bytes of UTF-8 sequences, by the script their characters mostly belong to.
_CJK_LEADS = bytes(range(0xE3, 0xEE)) + b"\xef"
_OTHER_LEADS = bytes(range(0xCD, 0xE2)) + b"\xf0\xf1\xf2\xf3\xf4"
# A look at this many characters takes under 100 us; a longer text is looked at in that many
# from its start, middle and end.
_LOOK_CHARS_MAX = 16 * 1024


def script_weights(text: str) -> dict[Script, int]:
    """How much each script weighs in `text`, in tokens as o200k_base would roughly count them.

    At least one script weighs something unless the text is empty. Long texts are sampled.
    """
    if text.isascii():
        return {Script.LATIN: len(text)}
    sample = _sample(text).encode("utf-8", "replace")
    cjk = len(sample) - len(sample.translate(None, _CJK_LEADS))
    other = len(sample) - len(sample.translate(None, _OTHER_LEADS))
    characters = len(sample) - len(sample.translate(None, _NO_CONTINUATION))
    latin = characters - cjk - other
    return {
        Script.LATIN: latin * _WEIGHTS[Script.LATIN],
        Script.CJK: cjk * _WEIGHTS[Script.CJK],
        Script.OTHER: other * _WEIGHTS[Script.OTHER],
    }


_NO_CONTINUATION = bytes(range(0x80)) + bytes(range(0xC0, 0x100))


def _sample(text: str) -> str:
    if len(text) <= _LOOK_CHARS_MAX:
        return text
    third = _LOOK_CHARS_MAX // 3
    middle = len(text) // 2
    return text[:third] + text[middle : middle + third] + text[-third:]


def estimate(
    weights: dict[Script, int], o200k_tokens: int, model: str, family: Family, ratios: Ratios
) -> tuple[int, int]:
    """(tokens, error bound in permille) of a text that has `o200k_tokens` in o200k_base.

    Each script counts by its weight in the text; tokens are rounded half up, the bound up.
    """
    total = sum(weights.values())
    if o200k_tokens == 0 or total == 0:
        return 0, ratios.ratio(model, family, Script.LATIN).bound_permille
    scaled = off = 0
    for script, weight in weights.items():
        if weight:
            ratio = ratios.ratio(model, family, script)
            scaled += weight * ratio.permille
            off += weight * ratio.permille * ratio.bound_permille
    tokens = (2 * o200k_tokens * scaled + 1000 * total) // (2000 * total)
    return max(tokens, 1), -(-off // scaled)
