from collections.abc import Callable
from typing import Any

import pytest

from services.tokenizer import vocabulary
from services.tokenizer.engines import reference
from services.tokenizer.engines.fast import FastEngine, load_fast
from services.tokenizer.engines.port import Checkpoint, EncoderPanicked, Engine, no_checkpoint
from services.tokenizer.engines.reference import TiktokenEngine
from services.tokenizer.engines.self_check import EngineDiffers, check, corpus
from services.tokenizer.vocabulary import CL100K, O200K, SPECS, Vocabularies


class PanicException(BaseException):
    """As Rust's panics are named and derived in Python."""


class Wrong:
    """An engine that is right but for the texts that `is_wrong` picks."""

    def __init__(self, name: str, is_wrong: Callable[[str], bool]) -> None:
        self._right = load_fast(name)
        self._is_wrong = is_wrong

    def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
        return self._right.count(text, checkpoint) + self._is_wrong(text)


@pytest.fixture(scope="module")
def tiktoken_engine() -> Engine:
    """tiktoken's own counts of o200k_base."""

    def missing(_: str) -> Engine:
        raise ModuleNotFoundError

    return loaded_with(missing)[O200K].engine


def loaded_with(load: Callable[[str], Any]) -> Vocabularies:
    return vocabulary.load(load_fast=load)


def engine_of(count: Callable[[str], int]) -> Engine:
    return FastEngine(count)


def test_the_fast_engine_serves_once_it_is_checked() -> None:
    """The package that is installed passes the check, and then it is the one that counts."""
    asked: list[str] = []

    def load(name: str) -> Engine:
        right = load_fast(name)

        def count(text: str) -> int:
            asked.append(text)
            return right.count(text)

        return engine_of(count)

    vocabularies = loaded_with(load)
    assert vocabularies.fallback is None
    asked.clear()
    assert vocabularies[O200K].count("hello world") == 2
    assert asked == ["hello world"]


@pytest.mark.parametrize(
    "is_wrong",
    [
        lambda text: "包" in text,
        lambda text: "<|endoftext|>" in text,
        lambda text: "\ud800" in text,
        lambda text: "\t\t\t\t" in text,
        lambda text: "👨‍👩‍👧‍👦" in text,
        lambda text: len(text) == 4000,
        lambda text: chr(0x2D012) in text,
        lambda text: text == "",
    ],
    ids=["chinese", "special", "surrogate", "tabs", "emoji", "hostile", "plane 2", "empty"],
)
def test_an_engine_that_is_wrong_anywhere_is_found_out(
    tiktoken_engine: Engine, is_wrong: Callable[[str], bool]
) -> None:
    """One text of the corpus counted wrong fails the check, which tells numbers and no text."""
    with pytest.raises(EngineDiffers, match=r"^o200k_base: text \d+ of the self-check has \d+ "):
        check(O200K, Wrong(O200K, is_wrong), tiktoken_engine, [])


def test_an_engine_with_another_vocabulary_is_found_out(tiktoken_engine: Engine) -> None:
    """cl100k_base in the place of o200k_base is seen; the right one passes."""
    check(O200K, load_fast(O200K), tiktoken_engine, [])
    with pytest.raises(EngineDiffers):
        check(O200K, load_fast(CL100K), tiktoken_engine, [])


def test_every_few_of_a_vocabularys_own_tokens_are_checked(tiktoken_engine: Engine) -> None:
    """An engine that lacks a merge of the vocabulary is found out by its token."""
    wrong = Wrong(O200K, lambda text: " zebrafish" in text)
    check(O200K, wrong, tiktoken_engine, [])
    with pytest.raises(EngineDiffers):
        check(O200K, wrong, tiktoken_engine, [b"a"] * 7 + [b"zebrafish"])


def test_a_wrong_engine_never_serves() -> None:
    """When the check fails tiktoken counts, with the count that is right, and says why."""
    vocabularies = loaded_with(lambda name: Wrong(name, lambda text: "包" in text))
    assert vocabularies.fallback is not None
    assert "EngineDiffers: o200k_base: text" in vocabularies.fallback
    assert isinstance(vocabularies[O200K].engine, TiktokenEngine)
    assert isinstance(vocabularies[CL100K].engine, TiktokenEngine)
    assert vocabularies[O200K].count("包") == load_fast(O200K).count("包")


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'toktok'"),
        AttributeError("_encoding"),
        KeyError("o200k_base"),
        OSError("cannot be mapped"),
        RuntimeError("no such instruction set"),
        PanicException("at load"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_engine_that_does_not_load_is_done_without(error: BaseException) -> None:
    """Whatever another version of the package does at load, the service counts with tiktoken."""

    def load(_: str) -> Engine:
        raise error

    vocabularies = loaded_with(load)
    assert vocabularies.fallback is not None
    assert vocabularies[CL100K].count("tiktoken is great!") == 6


@pytest.mark.parametrize("error", [ValueError("too long"), PanicException("in the check")])
def test_an_engine_that_fails_in_the_check_is_found_out(
    tiktoken_engine: Engine, error: BaseException
) -> None:
    """An engine that gives up on a text of the corpus fails the check."""

    def count(text: str) -> int:
        if "包" in text:
            raise error
        return load_fast(O200K).count(text)

    with pytest.raises(EngineDiffers, match="EncoderPanicked"):
        check(O200K, engine_of(count), tiktoken_engine, [])


def test_a_text_that_the_fast_engine_gives_up_on_is_counted_by_tiktoken() -> None:
    """A panic after the check costs no count; somebody is told."""
    told: list[bool] = []

    def load(name: str) -> Engine:
        right = load_fast(name)

        def count(text: str) -> int:
            if text == "evil":
                raise PanicException("later")
            return right.count(text)

        return engine_of(count)

    vocabularies = vocabulary.load(load_fast=load, on_panic=lambda: told.append(True))
    assert vocabularies.fallback is None
    assert vocabularies[O200K].count("fine") == 1
    assert told == []
    assert vocabularies[O200K].count("evil") == 1
    assert told == [True]


def test_a_panic_of_tiktoken_is_an_ordinary_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Should tiktoken itself give up on a text, the item fails and not the process."""
    monkeypatch.setattr(reference, "blank_runs_in", lambda *_: ())
    ranks = {bytes([byte]): byte for byte in range(256)}
    engine = TiktokenEngine("bytes", SPECS[0].pattern, ranks, {})
    with pytest.raises(EncoderPanicked):
        engine.count(" " * 1_000_001)


def test_cancelling_and_deadlines_reach_a_long_count() -> None:
    """What the checkpoint raises comes through the fast engine and its guard."""

    class Enough(Exception):
        pass

    def enough() -> None:
        raise Enough

    with pytest.raises(Enough):
        vocabulary.load()[O200K].count("word " * 100_000, enough)


def test_the_corpus_has_every_kind_of_text() -> None:
    """Scripts, emoji, code, special tokens, blanks, surrogates, planes: all of it is there."""
    whole = "".join(corpus([b"zebra"]))
    for part in (
        "包裹",
        "Посылка",
        "नहीं",
        "พัสดุ",
        "👩🏻‍❤️‍💋‍👨🏼",
        "<|endoftext|>",
        "<|channel|>",
        "\u3000" * 300,
        "\t" * 300,
        "\ud800",
        "a" * 3000,
        chr(0x3000 + 31 * 500),
        "zebra",
    ):
        assert part in whole, ascii(part[:20])
