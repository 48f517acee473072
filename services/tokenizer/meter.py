"""Measures the parts of one prompt for one model, and adds them up."""

from collections.abc import Callable
from typing import Final

from services.tokenizer.estimate import Ratios, estimate
from services.tokenizer.memo import Memo
from services.tokenizer.models import Model
from services.tokenizer.vocabulary import Checkpoint, Vocabulary, no_checkpoint

# For int32 on the wire; an estimate that may be off a hundredfold says nothing more anyway.
BOUND_PERMILLE_MAX: Final = 100_000


class Tally:
    """A sum of token counts that knows how far it may be off."""

    __slots__ = ("_off", "estimated", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.estimated = False
        self._off = 0  # in thousandths of a token

    def add(self, tokens: int, bound_permille: int = 0) -> None:
        """Adds a count; one with a bound above 0 is an estimate."""
        self.tokens += tokens
        if bound_permille:
            self.estimated = True
            self._off += tokens * bound_permille

    def include(self, other: "Tally") -> None:
        """Adds another sum."""
        self.tokens += other.tokens
        self.estimated = self.estimated or other.estimated
        self._off += other._off

    def exclude(self, other: "Tally") -> None:
        """Takes away a sum that was included; what was estimated stays marked so."""
        self.tokens -= other.tokens
        self._off -= other._off

    def copy(self) -> "Tally":
        """The sum as it is now."""
        copied = Tally()
        copied.include(self)
        return copied

    @property
    def bound_permille(self) -> int:
        """The real number is expected within this share of `tokens`; 0 when exact."""
        if not self.tokens:
            return 0
        return min(-(-self._off // self.tokens), BOUND_PERMILLE_MAX)


class Meter:
    """Counts texts as one model reads them. `checkpoint` may end a long count by raising.

    A `memo` must not outlive the ratios: what it holds was scaled with them.
    """

    __slots__ = ("_checkpoint", "_kind", "_memo", "_ratios", "_vocabulary", "model")

    def __init__(
        self,
        model: Model,
        vocabulary: Vocabulary,
        ratios: Ratios,
        checkpoint: Checkpoint = no_checkpoint,
        memo: Memo["Tally"] | None = None,
    ) -> None:
        self.model = model
        self._vocabulary = vocabulary
        self._ratios = ratios
        self._checkpoint = checkpoint
        self._memo = memo
        self._kind = f"{model.name}:{vocabulary.name}:{model.encoding}".encode()

    def text(self, text: str, tally: Tally, bound_permille: int = 0) -> None:
        """Adds the tokens of `text`. A bound says that the text is not what the model reads."""
        tokens, bound = self.scaled(text, self.raw(text))
        tally.add(tokens, max(bound, bound_permille))

    def remembered(self, content: bytes, measure: Callable[[Tally], None]) -> Tally:
        """What `measure` adds up to for `content`, which decides it; from the memo if it can.

        Raises what `measure` raises; then nothing is remembered.
        """
        if self._memo is None:
            tally = Tally()
            measure(tally)
            return tally
        digest = self._memo.digest(self._kind, content)
        known = self._memo.get(digest)
        if known is None:
            known = Tally()
            measure(known)
            self._memo.put(digest, known)
        return known

    def tokens(self, text: str) -> int:
        """Tokens of one text by itself."""
        return self.scaled(text, self.raw(text))[0]

    @property
    def kind(self) -> bytes:
        """Names the way that this meter counts: what one meter of a kind counted holds for all."""
        return self._kind

    def raw(self, text: str) -> int:
        """Tokens of `text` in the vocabulary that the model is counted with."""
        return self._vocabulary.count(text, self._checkpoint)

    def scaled(self, text: str, raw_tokens: int) -> tuple[int, int]:
        """(tokens as the model reads `text`, error bound in permille; 0 when exact)."""
        family = self.model.family
        if family is None:
            return raw_tokens, 0
        return estimate(text, raw_tokens, self.model.name, family, self._ratios)

    def word(self, word: str, tally: Tally) -> None:
        """Adds the tokens of one of a few fixed words."""
        tally.add(self._vocabulary.count_word(word))
