"""From a model's name to the way its prompts are counted.

A table of our own: tiktoken's `encoding_for_model` knows neither newer names nor other vendors,
and raises where this answers with an estimate that says so.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from services.tokenizer import rules
from services.tokenizer.estimate import Family
from services.tokenizer.media import pictures
from services.tokenizer.rules import ChatRules
from services.tokenizer.vocabulary import CL100K, HARMONY, O200K

_REMEMBERED_MODELS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Model:
    """How one model's prompts are counted. `family` is None where the vocabulary is its own."""

    name: str
    encoding: str
    family: Family | None
    chat: ChatRules
    pictures: pictures.PictureRule
    audio_tokens_per_second: int

    @property
    def exact(self) -> bool:
        """True when texts are counted with the model's own vocabulary."""
        return self.family is None


# Names that a published table maps to a vocabulary (tiktoken 0.14, model.py). A prefix counts
# when it ends in a dot, is the whole name, or one of -:@ follows.
_ENCODINGS = {
    "gpt-5": O200K,
    "gpt-5.": O200K,
    "gpt-4.5": O200K,
    "gpt-4.1": O200K,
    "gpt-4o": O200K,
    "chatgpt-4o": O200K,
    "o1": O200K,
    "o3": O200K,
    "o4-mini": O200K,
    "gpt-oss": HARMONY,
    "gpt-4": CL100K,
    "gpt-3.5": CL100K,
    "gpt-35-turbo": CL100K,
    "davinci-002": CL100K,
    "babbage-002": CL100K,
    "text-embedding-ada-002": CL100K,
    "text-embedding-3-small": CL100K,
    "text-embedding-3-large": CL100K,
}
_CHAT_BY_ENCODING = {
    O200K: rules.OPENAI_O200K,
    CL100K: rules.OPENAI_CL100K,
    HARMONY: rules.HARMONY,
}

_OPENAI = re.compile(r"(gpt|chatgpt|codex|computer-use|o\d)(?=[-.:@]|$)")
# A vendor's word somewhere in the name; the first that fits. A distilled model reads with the
# tokenizer of what it was distilled into, so llama and qwen come before deepseek.
_FAMILIES = (
    (re.compile(r"claude"), Family.CLAUDE),
    (re.compile(r"gemini|gemma"), Family.GEMINI),
    (re.compile(r"smollm"), Family.SMOLLM),
    (re.compile(r"llama-?[34]|llama-v[34]"), Family.LLAMA),
    (re.compile(r"qwen|qwq"), Family.QWEN),
    (re.compile(r"(mis|mix|minis|codes|magis|devs|pix)tral"), Family.MISTRAL),
    (re.compile(r"deepseek"), Family.DEEPSEEK),
)
_CHAT_BY_FAMILY = {
    Family.CLAUDE: rules.CLAUDE,
    Family.CLAUDE_4_7: rules.CLAUDE,
    Family.GEMINI: rules.GEMINI,
    Family.SMOLLM: rules.SMOLLM,
    Family.LLAMA: rules.LLAMA,
    Family.QWEN: rules.CHATML,
    Family.MISTRAL: rules.MISTRAL,
    Family.DEEPSEEK: rules.DEEPSEEK,
    Family.OPENAI_UNMAPPED: rules.OPENAI_UNMAPPED,
    Family.UNKNOWN: rules.UNKNOWN,
}
# claude-3-5-sonnet-20241022, claude-sonnet-4@20250514, claude-opus-4.7, claude-fable-5
_CLAUDE_VERSION = re.compile(r"claude[a-z-]*?-v?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_CLAUDE_NEW_TOKENIZER = (4, 7)

# OpenAI: a token for every 100 ms that the user speaks. Gemini: 32 tokens a second.
_AUDIO_TOKENS_PER_SECOND = 10
_GEMINI_AUDIO_TOKENS_PER_SECOND = 32


# What an operator may say a model reads with.
_TOLD_FAMILIES = {
    family.value: family
    for family in _CHAT_BY_FAMILY
    if family not in (Family.OPENAI_UNMAPPED, Family.UNKNOWN)
}
ENCODINGS = frozenset(_CHAT_BY_ENCODING) | frozenset(_TOLD_FAMILIES)


@lru_cache(maxsize=_REMEMBERED_MODELS_MAX)
def model_of(name: str, encoding: str = "") -> Model:
    """How `name` is counted, with or without a provider's path ("openai/gpt-4o") before it.

    `encoding`, one of ENCODINGS, goes before what the name tells: a vocabulary that is the
    model's own, or a family. Never fails: what is unknown is an estimate.
    """
    lowered = name.lower().strip()
    base = _base(lowered)
    if encoding in _TOLD_FAMILIES:
        return _estimated(f"{base}@{encoding}", base, _TOLD_FAMILIES[encoding])
    told = encoding or _encoding_of(base)
    if told is None:
        return _estimated(base, base, _family_of(lowered, base))
    return Model(
        f"{base}@{encoding}" if encoding else base,
        told,
        None,
        rules.OPENAI_GPT_5 if base.startswith("gpt-5") else _CHAT_BY_ENCODING[told],
        pictures.openai_rule(base),
        _AUDIO_TOKENS_PER_SECOND,
    )


def _estimated(name: str, base: str, family: Family) -> Model:
    rate = _AUDIO_TOKENS_PER_SECOND
    picture_rule: pictures.PictureRule = pictures.UNKNOWN_VENDOR
    if family is Family.OPENAI_UNMAPPED:
        picture_rule = pictures.openai_rule(base)
    elif family in (Family.CLAUDE, Family.CLAUDE_4_7):
        picture_rule = pictures.claude_rule(new=family is Family.CLAUDE_4_7)
    elif family is Family.GEMINI:
        picture_rule = pictures.gemini_rule(base)
        rate = _GEMINI_AUDIO_TOKENS_PER_SECOND
    return Model(name, O200K, family, _CHAT_BY_FAMILY[family], picture_rule, rate)


def _base(name: str) -> str:
    """The model's own name: no provider's path, no fine-tuning job around it."""
    base = name.rsplit("/", 1)[-1]
    if base.startswith("ft:"):
        base = base.split(":")[1]
    return base


def _encoding_of(base: str) -> str | None:
    for prefix, encoding in _ENCODINGS.items():
        if base.startswith(prefix):
            rest = base[len(prefix) :]
            if not rest or prefix.endswith(".") or rest[0] in "-:@":
                return encoding
    return None


def _family_of(name: str, base: str) -> Family:
    for pattern, family in _FAMILIES:
        if pattern.search(name):
            return _claude(name) if family is Family.CLAUDE else family
    return Family.OPENAI_UNMAPPED if _OPENAI.match(base) else Family.UNKNOWN


def _claude(name: str) -> Family:
    if "claude-instant" in name:
        return Family.CLAUDE
    found = _CLAUDE_VERSION.search(name)
    if found is None:  # "claude-sonnet-latest": whatever is newest
        return Family.CLAUDE_4_7
    version = (int(found[1]), int(found[2] or 0))
    return Family.CLAUDE_4_7 if version >= _CLAUDE_NEW_TOKENIZER else Family.CLAUDE
