import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tokenizer.media.pictures import (
    DETAILS,
    UNKNOWN_VENDOR,
    Patches,
    PictureRule,
    claude_rule,
    gemini_rule,
    openai_rule,
    picture_tokens,
)

RULES = [
    openai_rule("gpt-4o"),
    openai_rule("gpt-4o-mini"),
    openai_rule("gpt-4.1-mini"),
    openai_rule("gpt-5.4"),
    claude_rule(new=False),
    claude_rule(new=True),
    gemini_rule("gemini-2.5-pro"),
    gemini_rule("gemini-3-pro"),
    UNKNOWN_VENDOR,
]


@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "tokens"),
    [
        ("gpt-4o", 1024, 1024, "high", 765),
        ("gpt-4o", 2048, 4096, "high", 1105),
        ("gpt-4o", 4096, 8192, "low", 85),
        ("gpt-4o", 512, 512, "auto", 255),
        ("gpt-4o-mini", 1024, 1024, "high", 2833 + 4 * 5667),
        ("gpt-5", 1024, 1024, "high", 70 + 4 * 140),
        ("o3", 1024, 1024, "high", 75 + 4 * 150),
    ],
)
def test_openai_tiles(model: str, width: int, height: int, detail: str, tokens: int) -> None:
    """The examples of OpenAI's guide, and its table of base and tile tokens."""
    rule = openai_rule(model)
    assert picture_tokens(rule, (width, height), detail) == (tokens, 0)


def test_openai_patches() -> None:
    """The guide's examples: 1024 x 1024 has 1,024 patches, 1800 x 2400 scales to 1,452."""
    plain = Patches(1000)
    assert plain.tokens(1024, 1024, "high") == 1024
    assert plain.tokens(1800, 2400, "high") == 1452
    assert openai_rule("gpt-4.1-mini").tokens(1024, 1024, "high") == 1659  # times 1.62, up
    assert openai_rule("gpt-4.1-nano").tokens(1, 1, "high") == 3


def test_newer_models_look_closer() -> None:
    """From gpt-5.4 on a picture may have 2,500 patches, 10,000 at original detail."""
    rule = openai_rule("gpt-5.4")
    big = 8000, 8000
    assert rule.tokens(*big, "low") <= 308
    assert 2900 <= rule.tokens(*big, "high") <= 3000
    assert 11_800 <= rule.tokens(*big, "original") <= 12_000
    assert picture_tokens(rule, big, "high")[1] > 0  # the factor is not published


@pytest.mark.parametrize(
    ("width", "height", "old", "new"),
    [
        (1000, 1000, 1296, 1296),  # the guide's own example
        (1092, 1092, 1521, 1521),
        (1920, 1080, 1560, 69 * 39),  # the guide: read as 1456 x 819
        (3840, 2160, 1560, 4784),
        (1075, 1520, 1551, 2145),  # the guide: an A4 page, 2,145 cells, read as 924 x 1307
        (1280, 1600, 1540, 2668),
        (200, 200, 64, 64),
        (1, 1, 1, 1),
    ],
)
def test_the_published_sizes_for_claude(width: int, height: int, old: int, new: int) -> None:
    """Anthropic's guide: 28-px cells, 1,568 of them and 1,568 px, or 4,784 and 2,576 px."""
    assert claude_rule(new=False).tokens(width, height, "") == old
    assert claude_rule(new=True).tokens(width, height, "") == new


def test_claude_cells() -> None:
    """Cells of 28 px, the long edge and the number of cells capped."""
    assert claude_rule(new=False).tokens(280, 56, "") == 20
    assert claude_rule(new=False).tokens(4000, 4000, "") <= 1568
    assert 4500 <= claude_rule(new=True).tokens(4000, 4000, "") <= 4784
    assert claude_rule(new=False).tokens(1568, 28, "") == 56


def test_gemini_tiles() -> None:
    """Small pictures are one tile, others one for each 768 px begun; Gemini 3 has one price."""
    assert gemini_rule("gemini-2.5-pro").tokens(384, 384, "") == 258
    assert gemini_rule("gemini-2.5-pro").tokens(1024, 700, "") == 2 * 258
    assert gemini_rule("gemini-3-pro").tokens(1024, 700, "") == 1120


@pytest.mark.parametrize("rule", RULES)
@given(
    width=st.integers(1, 2**32),
    height=st.integers(1, 2**32),
    detail=st.sampled_from(sorted(DETAILS)),
)
def test_any_size_has_a_sane_price(rule: PictureRule, width: int, height: int, detail: str) -> None:
    """Whatever a header claims, the count is positive and no more than the dearest picture's."""
    tokens = rule.tokens(width, height, detail)
    assert 1 <= tokens <= rule.most_tokens(detail)


def test_a_picture_of_unknown_size_is_an_estimate_that_reaches_every_size() -> None:
    """Without a size it counts as 1024 x 1024, and the bound covers the dearest picture."""
    rule = openai_rule("gpt-4o")
    tokens, bound = picture_tokens(rule, None, "high")
    assert tokens == 765
    assert tokens * (1000 + bound) >= 1000 * rule.tokens(2048, 768, "high")
    assert tokens * (1000 - bound) <= 1000 * rule.tokens(1, 1, "high")


def test_a_picture_of_unknown_size_is_exact_at_low_detail() -> None:
    """Where every size costs the same, the size need not be known."""
    assert picture_tokens(openai_rule("gpt-4o"), None, "low") == (85, 0)
