"""BERT's word pieces of a text, uncased: Devlin et al. 2018, as MiniLM was trained with.

Our own because the library that has it brings a model hub's client with it; tests compare the
two on recorded texts. Some 15 us for a short question: most words are found in a memo.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.resources import files

WORD_CHARS_MAX = 100
WORDS_REMEMBERED_MAX = 20_000
_UNKNOWN, _BEGIN, _END = "[UNK]", "[CLS]", "[SEP]"

_ASCII_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_WIDE = re.compile(
    "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\U00020000-\U0002ceaf\U0002f800-\U0002fa1f]"
)


class WordPiece:
    """Turns texts into ids of a vocabulary."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        self.begin, self.end = self._ids[_BEGIN], self._ids[_END]
        self._unknown = self._ids[_UNKNOWN]
        self._pieces = lru_cache(WORDS_REMEMBERED_MAX)(self._split)

    @classmethod
    def shipped(cls) -> "WordPiece":
        """With MiniLM's vocabulary."""
        text = files("services.cache.semantic").joinpath("weights/vocab.txt").read_text("utf-8")
        return cls(text.splitlines())

    def ids(self, text: str, pieces_max: int) -> list[int]:
        """The text's ids, at most `pieces_max`, without the marks of begin and end."""
        found: list[int] = []
        for word in words(text):
            found += self._pieces(word)
            if len(found) >= pieces_max:
                return found[:pieces_max]
        return found

    def many(self, texts: Sequence[str], pieces_max: int) -> list[list[int]]:
        """Ids of each text."""
        return [self.ids(text, pieces_max) for text in texts]

    def _split(self, word: str) -> tuple[int, ...]:
        if len(word) > WORD_CHARS_MAX:
            return (self._unknown,)
        found = []
        start = 0
        while start < len(word):
            end = len(word)
            mark = "##" if start else ""
            while end > start and (piece := mark + word[start:end]) not in self._ids:
                end -= 1
            if end == start:
                return (self._unknown,)
            found.append(self._ids[piece])
            start = end
        return tuple(found)


def words(text: str) -> list[str]:
    """Lower-case words and single signs, accents taken off."""
    text = text.lower()
    if text.isascii():
        return _ASCII_WORD.findall(text)
    text = unicodedata.normalize("NFD", _WIDE.sub(lambda wide: f" {wide[0]} ", text))
    return "".join(map(_settled, text)).split()


@lru_cache(4096)
def _settled(char: str) -> str:
    if char.isascii():
        if char.isalnum() or char.isspace():
            return char
        return f" {char} " if char.isprintable() else ""
    kind = unicodedata.category(char)
    if kind == "Mn" or kind[0] == "C":
        return ""
    return f" {char} " if kind[0] == "P" else char
