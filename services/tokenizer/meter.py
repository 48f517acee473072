"""Measures the parts of one prompt for one model, and adds them up."""

from collections.abc import Callable
from typing import Final

from services.tokenizer.engines.port import Checkpoint, no_checkpoint
from services.tokenizer.estimate import (
    Fixes,
    Ratios,
    Script,
    estimate,
    prior_tokens,
    script_weights,
)
from services.tokenizer.memo import Memo
from services.tokenizer.models import Model
from services.tokenizer.vocabulary import Vocabulary

# For int32 on the wire; an estimate that may be off a hundredfold says nothing more anyway.
BOUND_PERMILLE_MAX: Final = 100_000


class Tally:
    """A sum of token counts that knows how far it may be off and what it is made of.

    `..._millis`: thousandths of o200k_base tokens of its texts, by script, before any ratio.
    `media_tokens`: those of pictures and sound. `learned_calls`: how many calls the ratios in it
    were learned from, 0 for none.
    """

    __slots__ = (
        "_off",
        "_plain_off",
        "cjk_millis",
        "estimated",
        "latin_millis",
        "learned_calls",
        "media_tokens",
        "other_millis",
        "plain_tokens",
        "scaled",
        "tokens",
    )

    def __init__(self) -> None:
        self.tokens = 0
        self.estimated = False
        self.scaled = False
        self.learned_calls = 0
        self.media_tokens = 0
        # Of the chat format: neither text nor media.
        self.plain_tokens = 0
        self.latin_millis = self.cjk_millis = self.other_millis = 0
        self._off = 0  # in thousandths of a token
        self._plain_off = 0  # of it, that of the chat format

    def add(self, tokens: int, bound_permille: int = 0) -> None:
        """Adds what the chat format costs; a bound above 0 makes it an estimate."""
        self.plain_tokens += tokens
        self._plain_off += tokens * bound_permille
        self._add(tokens, bound_permille)

    def add_media(self, tokens: int, bound_permille: int) -> None:
        """Adds a picture or sound."""
        self.media_tokens += tokens
        self._add(tokens, bound_permille)

    def add_text(
        self, tokens: int, bound_permille: int, raw_tokens: int, weights: dict[Script, int]
    ) -> None:
        """Adds a text that has `raw_tokens` in the vocabulary and its scripts' `weights`."""
        if len(weights) == 1:
            self.latin_millis += 1000 * raw_tokens
        elif total := sum(weights.values()):
            cjk = 1000 * raw_tokens * weights[Script.CJK] // total
            other = 1000 * raw_tokens * weights[Script.OTHER] // total
            self.latin_millis += 1000 * raw_tokens - cjk - other
            self.cjk_millis += cjk
            self.other_millis += other
        self._add(tokens, bound_permille)

    def include(self, other: "Tally") -> None:
        """Adds another sum."""
        self.tokens += other.tokens
        self.estimated = self.estimated or other.estimated
        self.scaled = self.scaled or other.scaled
        self.learned_calls = max(self.learned_calls, other.learned_calls)
        self.media_tokens += other.media_tokens
        self.plain_tokens += other.plain_tokens
        self.latin_millis += other.latin_millis
        self.cjk_millis += other.cjk_millis
        self.other_millis += other.other_millis
        self._off += other._off
        self._plain_off += other._plain_off

    @property
    def script_millis(self) -> tuple[int, int, int]:
        """The same of all scripts, in the order of Script."""
        return self.latin_millis, self.cjk_millis, self.other_millis

    def doubt(self, tokens: int) -> None:
        """The sum may be off by so many tokens more; with any it is an estimate."""
        if tokens:
            self.estimated = True
            self._off += tokens * 1000

    def narrow(self, bound_permille: int) -> None:
        """The chat format is known to be off by so much at most."""
        off = min(self._plain_off, self.plain_tokens * bound_permille)
        self._off += off - self._plain_off
        self._plain_off = off

    def correct(self, tokens: int, bound_permille_max: int = BOUND_PERMILLE_MAX) -> None:
        """Makes it so many `tokens`, at least none, with the bound's share as it is, or smaller."""
        bound = min(self.bound_permille, bound_permille_max)
        self.tokens = max(tokens, 0)
        self._off = self.tokens * bound

    def exclude(self, other: "Tally") -> None:
        """Takes away a sum that was included; what was estimated stays marked so."""
        self.tokens -= other.tokens
        self.media_tokens -= other.media_tokens
        self.plain_tokens -= other.plain_tokens
        self.latin_millis -= other.latin_millis
        self.cjk_millis -= other.cjk_millis
        self.other_millis -= other.other_millis
        self._off -= other._off
        self._plain_off -= other._plain_off

    def copy(self) -> "Tally":
        """The sum as it is now."""
        # Not include(): a prompt of a known conversation is little more than a dozen of these.
        copied = Tally.__new__(Tally)
        copied.tokens = self.tokens
        copied.estimated = self.estimated
        copied.scaled = self.scaled
        copied.learned_calls = self.learned_calls
        copied.media_tokens = self.media_tokens
        copied.plain_tokens = self.plain_tokens
        copied.latin_millis = self.latin_millis
        copied.cjk_millis = self.cjk_millis
        copied.other_millis = self.other_millis
        copied._off = self._off
        copied._plain_off = self._plain_off
        return copied

    @property
    def bound_permille(self) -> int:
        """The real number is expected within this share of `tokens`; 0 when exact."""
        if not self.tokens:
            return 0
        return min(-(-self._off // self.tokens), BOUND_PERMILLE_MAX)

    def _add(self, tokens: int, bound_permille: int) -> None:
        self.tokens += tokens
        if bound_permille:
            self.estimated = True
            self._off += tokens * bound_permille


class Meter:
    """Counts texts as one model reads them. `checkpoint` may end a long count by raising.

    What a `memo` holds was scaled with ratios; those learned anew make it count again.
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
        generation = ratios.generation(model.name)
        self._kind = f"{model.name}:{model.encoding}:{generation}".encode()

    def text(self, text: str, tally: Tally, bound_permille: int = 0) -> None:
        """Adds the tokens of `text`. A bound says that the text is not what the model reads."""
        raw_tokens, weights = self.raw(text), script_weights(text)
        tokens, bound = self._scaled(weights, raw_tokens)
        tally.add_text(tokens, max(bound, bound_permille), raw_tokens, weights)
        if self.model.family is not None:
            tally.scaled = True
            tally.learned_calls = max(tally.learned_calls, self._ratios.calls(self.model.name))

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
        if self.model.family is None:
            return raw_tokens, 0
        return self._scaled(script_weights(text), raw_tokens)

    def fixes(self) -> Fixes | None:
        """What is learned of the model beside its ratios; None where there is nothing."""
        if self.model.family is None or not self._ratios.calls(self.model.name):
            return None
        return self._ratios.fixes(self.model.name)

    def prior_tokens(self, tally: Tally) -> int:
        """What `tally` would come to by the family's own ratios."""
        return prior_tokens(self.model.family, tally.script_millis) + tally.plain_tokens

    def _scaled(self, weights: dict[Script, int], raw_tokens: int) -> tuple[int, int]:
        family = self.model.family
        if family is None:
            return raw_tokens, 0
        return estimate(weights, raw_tokens, self.model.name, family, self._ratios)

    def word(self, word: str, tally: Tally) -> None:
        """Adds the tokens of one of a few fixed words."""
        tally.add(self._vocabulary.count_word(word))
