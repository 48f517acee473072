import pytest

from catalog.schema import Encoding
from services.tokenizer.estimate import Family
from services.tokenizer.models import ENCODINGS, model_of


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("GPT-4.1-nano", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("gpt-5.4-mini", "o200k_base"),
        ("o1", "o200k_base"),
        ("o3-pro", "o200k_base"),
        ("o4-mini-2025-04-16", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc123", "o200k_base"),
        ("openai/gpt-4.1", "o200k_base"),
        ("gpt-oss-120b", "o200k_harmony"),
        ("openai/gpt-oss:20b", "o200k_harmony"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-32k-0613", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo-16k", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0125:acme::abc", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
    ],
)
def test_openai_models_are_counted_with_their_own_vocabulary(name: str, encoding: str) -> None:
    """A name that a published table maps to a vocabulary is exact, however it is spelled."""
    model = model_of(name)
    assert (model.encoding, model.exact) == (encoding, True)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("claude-3-5-sonnet-20241022", Family.CLAUDE),
        ("claude-sonnet-4-20250514", Family.CLAUDE),
        ("claude-opus-4-1", Family.CLAUDE),
        ("claude-sonnet-4@20250514", Family.CLAUDE),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Family.CLAUDE),
        ("claude-2.1", Family.CLAUDE),
        ("claude-instant-1.2", Family.CLAUDE),
        ("anthropic/claude-opus-4-7", Family.CLAUDE_4_7),
        ("claude-opus-4.7", Family.CLAUDE_4_7),
        ("claude-sonnet-5", Family.CLAUDE_4_7),
        ("claude-fable-5-1", Family.CLAUDE_4_7),
        ("claude-sonnet-latest", Family.CLAUDE_4_7),
        ("gemini-2.5-pro", Family.GEMINI),
        ("models/gemma-3-27b-it", Family.GEMINI),
        ("accounts/fireworks/models/llama-v3p1-70b-instruct", Family.LLAMA),
        ("llama3:8b", Family.LLAMA),
        ("deepseek-r1-distill-llama-3-70b", Family.LLAMA),
        ("deepseek-chat", Family.DEEPSEEK),
        ("deepseek-r1-distill-qwen-32b", Family.QWEN),
        ("qwen3-max", Family.QWEN),
        ("open-mixtral-8x22b", Family.MISTRAL),
        ("ministral-8b", Family.MISTRAL),
        ("SmolLM2-135M-Instruct", Family.SMOLLM),
        ("gpt-6.1-sol", Family.OPENAI_UNMAPPED),
        ("gpt-4.2", Family.OPENAI_UNMAPPED),
        ("codex-mini-latest", Family.OPENAI_UNMAPPED),
        ("grok-4", Family.UNKNOWN),
        ("my-house-model", Family.UNKNOWN),
        ("gpt4all", Family.UNKNOWN),
        ("ft:", Family.UNKNOWN),
        ("/", Family.UNKNOWN),
    ],
)
def test_other_models_are_estimates_of_their_family(name: str, family: Family) -> None:
    """A model whose vocabulary is not public is estimated over o200k_base, by its family."""
    model = model_of(name)
    assert (model.family, model.encoding, model.exact) == (family, "o200k_base", False)


def test_an_operator_may_name_the_vocabulary() -> None:
    """A renamed or self-hosted model is exact where the operator says what it reads with."""
    model = model_of("support-bot-v2", "cl100k_base")
    assert (model.encoding, model.exact) == ("cl100k_base", True)
    assert model.chat == model_of("gpt-4").chat


def test_an_operator_may_name_the_family() -> None:
    """Or it is estimated as its family; what the name tells gives way."""
    for name in ("support-bot-v2", "gpt-4o"):
        model = model_of(name, "qwen")
        assert (model.family, model.encoding, model.exact) == (Family.QWEN, "o200k_base", False)
        assert model.chat == model_of("qwen3-max").chat
    assert model_of("mine", "claude-4.7").pictures == model_of("claude-opus-4-7").pictures


def test_what_a_model_is_counted_by_is_part_of_its_name() -> None:
    """What is remembered or learned of it one way is not used the other way."""
    names = {model_of("m", encoding).name for encoding in ("", "qwen", "llama", "o200k_base")}
    assert len(names) == 4


def test_the_fleet_file_takes_what_the_tokenizer_knows() -> None:
    """Every encoding an operator may write is one that can be counted, and the other way round."""
    assert {each.value for each in Encoding} == ENCODINGS
