"""What a picture costs: the vendors' published formulas.

OpenAI, "Images and vision" guide: tiles of 512 px, or patches of 32 px times a factor.
Anthropic, "Vision" guide: cells of 28 px. Gemini, "Understand and count tokens": 258 a tile.
Sizes are pixels, results tokens.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

# Every picture is taken for one of this size when its own is not known.
UNKNOWN_SIZE: Final = (1024, 1024)
DETAILS: Final = frozenset({"", "auto", "low", "high", "original"})


class PictureRule(Protocol):
    """One model's way to count pictures."""

    @property
    def bound_permille(self) -> int:
        """How far the formula itself may be off; 0 where it is published for this model."""
        ...

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Tokens of a picture of at least 1 x 1 pixels."""
        ...

    def most_tokens(self, detail: str) -> int:
        """Tokens of the dearest picture."""
        ...


@dataclass(frozen=True, slots=True)
class Tiles:
    """Fit into 2048 x 2048, then the short side to 768, then count tiles of 512 x 512."""

    base: int
    tile: int
    bound_permille: int = 0

    def tokens(self, width: int, height: int, detail: str) -> int:
        """base + tile a tile; the base alone at low detail."""
        if detail == "low":
            return self.base
        long, short = max(width, height), min(width, height)
        if long > 2048:
            short, long = max(1, short * 2048 // long), 2048
        if short > 768:
            long, short = max(1, long * 768 // short), 768
        return self.base + self.tile * -(-long // 512) * -(-short // 512)

    def most_tokens(self, detail: str) -> int:
        """2 x 4 tiles."""
        return self.base if detail == "low" else self.base + 8 * self.tile


@dataclass(frozen=True, slots=True)
class Patches:
    """Patches of 32 x 32, scaled down to fit `patches_max`, times a factor."""

    factor_permille: int
    patches_max: int = 1536
    original_patches_max: int | None = None
    bound_permille: int = 0

    _LOW_PATCHES_MAX = 256  # 512 x 512

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Patches after scaling, times the factor, rounded up."""
        return self._times_factor(_patches(width, height, self._cap(detail)))

    def most_tokens(self, detail: str) -> int:
        """As many patches as may be."""
        return self._times_factor(self._cap(detail))

    def _cap(self, detail: str) -> int:
        if detail == "low":
            return self._LOW_PATCHES_MAX
        if detail == "original" and self.original_patches_max is not None:
            return self.original_patches_max
        return self.patches_max

    def _times_factor(self, patches: int) -> int:
        return -(-patches * self.factor_permille // 1000)


def _patches(width: int, height: int, patches_max: int) -> int:
    across, down = -(-width // 32), -(-height // 32)
    if across * down <= patches_max:
        return across * down
    shrink = math.sqrt(32 * 32 * patches_max / (width * height))
    wide, high = width * shrink / 32, height * shrink / 32
    # A little more, so that whole patches fill the smaller picture.
    shrink = min(
        math.floor(wide) / wide if wide >= 1 else 1.0,
        math.floor(high) / high if high >= 1 else 1.0,
    )
    return min(patches_max, math.ceil(wide * shrink - 1e-9) * math.ceil(high * shrink - 1e-9))


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of 28 x 28; a picture with a longer edge than `edge_max` or more cells than
    `cells_max` is scaled down to the largest that has neither. What the scaled edge rounds to may
    be a cell's width off."""

    cells_max: int
    edge_max: int
    bound_permille: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        """One a cell begun of the largest picture that keeps both caps; `detail` makes no
        difference."""
        across, down = -(-width // 28), -(-height // 28)
        if max(width, height) <= self.edge_max and across * down <= self.cells_max:
            return across * down
        # In cells: the largest scale at which it is at most `wide` across and the rest down.
        best = Fraction(0)
        for wide in range(1, -(-self.edge_max // 28) + 1):
            high = self.cells_max // wide
            best = max(best, min(Fraction(28 * wide, width), Fraction(28 * high, height)))
        best = min(best, Fraction(self.edge_max, max(width, height)), Fraction(1))
        across = -(-(width * best.numerator) // (28 * best.denominator))
        down = -(-(height * best.numerator) // (28 * best.denominator))
        return min(max(across * down, 1), self.cells_max)

    def most_tokens(self, detail: str) -> int:
        """The cap."""
        return self.cells_max


@dataclass(frozen=True, slots=True)
class SquareTiles:
    """258 tokens up to 384 x 384, else 258 for each 768 x 768 begun, 16 of them at most."""

    bound_permille: int

    _TILES_MAX = 16

    def tokens(self, width: int, height: int, detail: str) -> int:
        """258 a tile; `detail` makes no difference."""
        if max(width, height) <= 384:
            return 258
        return 258 * min(-(-width // 768) * -(-height // 768), self._TILES_MAX)

    def most_tokens(self, detail: str) -> int:
        """All the tiles."""
        return 258 * self._TILES_MAX


@dataclass(frozen=True, slots=True)
class Flat:
    """The same for every picture."""

    each: int
    bound_permille: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        """That."""
        return self.each

    def most_tokens(self, detail: str) -> int:
        """That."""
        return self.each


UNKNOWN_VENDOR: Final = Tiles(85, 170, bound_permille=1000)

# Longest prefix first. A factor of 1.2 is what litellm's table has; the guide does not say.
_OPENAI_RULES: tuple[tuple[str, PictureRule], ...] = (
    ("gpt-4.1-mini", Patches(1620)),
    ("gpt-4.1-nano", Patches(2460)),
    ("gpt-4o-mini", Tiles(2833, 5667)),
    ("gpt-5-mini", Patches(1620)),
    ("gpt-5-nano", Patches(2460)),
    ("gpt-5.1", Tiles(70, 140)),
    ("gpt-5.2", Patches(1200, bound_permille=250)),
    ("gpt-5.3", Patches(1200, bound_permille=250)),
    ("gpt-5.", Patches(1200, 2500, 10_000, bound_permille=250)),
    ("gpt-5", Tiles(70, 140)),
    ("gpt-6", Patches(1200, 2500, 10_000, bound_permille=250)),
    ("gpt-4.1", Tiles(85, 170)),
    ("gpt-4.5", Tiles(85, 170)),
    ("gpt-4o", Tiles(85, 170)),
    ("chatgpt-4o", Tiles(85, 170)),
    ("gpt-4", Tiles(85, 170)),
    ("o4-mini", Patches(1720)),
    ("computer-use-preview", Tiles(65, 129)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
)


def openai_rule(model: str) -> PictureRule:
    """The rule of an OpenAI model, `model` in lower case."""
    return next(
        (rule for prefix, rule in _OPENAI_RULES if model.startswith(prefix)), UNKNOWN_VENDOR
    )


def claude_rule(*, new: bool) -> PictureRule:
    """`new`: Claude 4.7 and later, which look closer."""
    return Cells(4784, 2576, 20) if new else Cells(1568, 1568, 20)


def gemini_rule(model: str) -> PictureRule:
    """Gemini 3 and later count every picture the same at their default resolution."""
    return SquareTiles(300) if "gemini-1" in model or "gemini-2" in model else Flat(1120, 500)


def picture_tokens(rule: PictureRule, size: tuple[int, int] | None, detail: str) -> tuple[int, int]:
    """(tokens, bound in permille) of a picture; `size` None when nobody knows it.

    Without a size it is taken for 1024 x 1024, with a bound that reaches from one token to the
    dearest picture, unless the rule gives every size the same.
    """
    width, height = size or UNKNOWN_SIZE
    tokens = rule.tokens(width, height, detail)
    if size is not None or rule.tokens(1, 1, detail) == rule.most_tokens(detail):
        return tokens, rule.bound_permille
    off = max(rule.most_tokens(detail) - tokens, tokens - 1)
    return tokens, max(rule.bound_permille, -(-1000 * off // max(tokens, 1)))
