import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tokenizer.estimate import (
    Family,
    FixedRatios,
    Ratio,
    Ratios,
    Script,
    estimate,
    script_weights,
)

RATIOS = FixedRatios()
ENGLISH = "The parcel has not arrived, and I would like my money back. " * 5
CHINESE = "包裹还没有到,我想要退款。请尽快处理这个问题,谢谢。" * 5
RUSSIAN = "Посылка не пришла, и я хотел бы получить деньги обратно. " * 5


def estimated(text: str, base: int, model: str, family: Family, ratios: Ratios) -> tuple[int, int]:
    return estimate(script_weights(text), base, model, family, ratios)


class OneRatio(FixedRatios):
    """The same ratio for everything."""

    def __init__(self, permille: int, bound_permille: int) -> None:
        self._ratio = Ratio(permille, bound_permille)

    def ratio(self, model: str, family: Family, script: Script) -> Ratio:
        return self._ratio


@pytest.mark.parametrize(
    ("text", "script"),
    [
        (ENGLISH, Script.LATIN),
        ("Où est mon colis ? Größe, naïve “quotes”…", Script.LATIN),
        (CHINESE, Script.CJK),
        ("荷物がまだ届いていません", Script.CJK),
        ("소포가 아직 도착하지 않았습니다", Script.CJK),
        (RUSSIAN, Script.OTHER),
        ("لم يصل الطرد بعد", Script.OTHER),
        ("👍🏽🎉😀", Script.OTHER),
    ],
)
def test_a_text_weighs_most_in_its_own_script(text: str, script: Script) -> None:
    """The script that a reader would name is the one that decides the ratio."""
    weights = script_weights(text)
    assert max(weights, key=lambda each: weights[each]) is script
    assert weights[script] > 0.6 * sum(weights.values())


def test_scripts_have_their_own_ratio() -> None:
    """DeepSeek reads Chinese in fewer tokens than o200k_base and English in more."""
    assert estimated(ENGLISH, 1000, "m", Family.DEEPSEEK, RATIOS) == (1040, 50)
    tokens, bound = estimated(CHINESE, 1000, "m", Family.DEEPSEEK, RATIOS)
    assert 915 <= tokens <= 930
    assert 110 <= bound <= 120
    mixed, _ = estimated(ENGLISH + CHINESE, 1000, "m", Family.DEEPSEEK, RATIOS)
    assert tokens < mixed < 1040


def test_claude_reads_more_tokens_from_4_7_on() -> None:
    """The published growth of Claude's tokenizer lies within the stated bounds."""
    old, old_bound = estimated(ENGLISH, 1000, "m", Family.CLAUDE, RATIOS)
    new, new_bound = estimated(ENGLISH, 1000, "m", Family.CLAUDE_4_7, RATIOS)
    assert (old, new) == (1200, 1500)
    for published in (1160, 1300):  # English and Python over o200k_base
        assert abs(published - old) * 1000 <= old * old_bound
    for published in (1160 * 120 // 100, 1300 * 136 // 100):  # times 4.7 over 4.6
        assert abs(published - new) * 1000 <= new * new_bound


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("script", Script)
def test_every_family_and_script_has_a_ratio_and_a_bound(family: Family, script: Script) -> None:
    """No estimate claims to be exact, and none is off by more than half."""
    ratio = RATIOS.ratio("m", family, script)
    assert 500 <= ratio.permille <= 4000
    assert 0 < ratio.bound_permille <= 500


@given(
    text=st.text(st.characters(categories=None, exclude_categories=())),
    base=st.integers(0, 10**7),
    family=st.sampled_from(Family),
)
def test_any_text_has_an_estimate(text: str, base: int, family: Family) -> None:
    """An estimate is 0 for an empty text, else at least 1, within the ratios of its family."""
    tokens, bound = estimated(text, base if text else 0, "m", family, RATIOS)
    assert bound > 0
    if not text or not base:
        assert tokens == 0
        return
    ratios = [RATIOS.ratio("m", family, script).permille for script in Script]
    assert max(1, base * min(ratios) // 1000) <= tokens <= base * max(ratios) // 1000 + 1


@given(base=st.integers(1, 10**9), permille=st.integers(1, 5000))
def test_an_estimate_is_rounded_half_up(base: int, permille: int) -> None:
    """One rounding, to the nearest token."""
    tokens, _ = estimated("a", base, "m", Family.UNKNOWN, OneRatio(permille, 1))
    assert tokens == max(1, (base * permille + 500) // 1000)


def test_a_long_text_is_sampled() -> None:
    """A long text weighs by a sample of its start, middle and end."""
    weights = script_weights(ENGLISH * 1000 + CHINESE * 1000 + RUSSIAN * 1000)
    assert all(weights[script] > 0 for script in Script)
    assert sum(weights.values()) < 16 * 1024 * 750
