import random

import pytest

from services.cache.semantic.calibrate import (
    OUTCOMES_MIN,
    BadState,
    Calibration,
    Standing,
)
from services.cache.semantic.decide import default_decision
from services.cache.semantic.features import NAMES, Features


def seen(similarity: float, verifier: float) -> Features:
    """Features of a candidate; what is not named is the same of all."""
    values = dict.fromkeys(NAMES, 0.5) | {"similarity": similarity, "verifier_logit": verifier}
    return tuple(values[name] for name in NAMES)


def traffic(count: int, seed: int = 1, noise: float = 0.0) -> Calibration:
    """Outcomes in which the likelier pairs are the more often right."""
    rng = random.Random(seed)
    made = Calibration()
    for _ in range(count):
        good = rng.random() < 0.5
        shift = 1.0 if good else -1.0
        if rng.random() < noise:
            shift = -shift
        similarity = min(1.0, max(0.76, 0.88 + 0.04 * shift + rng.gauss(0, 0.02)))
        made.observe(seen(similarity, 3 * shift + rng.gauss(0, 1)), right=good)
    return made


def wrong_share(decision_seed: int, made: Calibration, target: float) -> tuple[float, float]:
    """Accepted and wrong shares on new traffic of the same kind."""
    result = made.settle(target)
    rng = random.Random(decision_seed)
    taken = wrong = 0
    for _ in range(5_000):
        good = rng.random() < 0.5
        shift = 1.0 if good else -1.0
        similarity = min(1.0, max(0.76, 0.88 + 0.04 * shift + rng.gauss(0, 0.02)))
        verifier = 3 * shift + rng.gauss(0, 1)
        p = 1 / (1 + 2.718281828**-verifier)
        if result.decision.refusal(seen(similarity, verifier), p) is None:
            taken += 1
            wrong += not good
    return taken / 5_000, wrong / max(1, taken)


@pytest.mark.parametrize("count", [0, 200, OUTCOMES_MIN - 1])
def test_too_little_evidence_keeps_the_default(count: int) -> None:
    """200 outcomes are no ground to serve more, and the operator is told how many are needed."""
    result = traffic(count).settle(0.01)
    assert result.standing is Standing.DEFAULT
    assert result.decision == default_decision()
    assert "500" in result.reason


def test_enough_evidence_serves_more_within_the_target() -> None:
    """What was learned serves much, and on new traffic is wrong no more often than asked."""
    made = traffic(4_000)
    result = made.settle(0.01)
    assert result.standing is Standing.LEARNED
    assert result.wrong_share_upper is not None
    assert result.wrong_share_upper <= 0.01
    taken, wrong = wrong_share(2, made, 0.01)
    assert taken > 0.4
    assert wrong <= 0.01


def test_a_few_wrong_labels_do_not_refuse_everything() -> None:
    """Labels are never all right: one in 500 wrong still lets 1 % be shown."""
    assert traffic(6_000, noise=0.002).settle(0.01).standing is Standing.LEARNED


def test_a_target_that_cannot_be_shown_is_refused_with_the_reason() -> None:
    """Labels that the features cannot tell apart prove no 1 %; the refusal says what they prove."""
    result = traffic(3_000, noise=0.2).settle(0.01)
    assert result.standing is Standing.REFUSED
    assert result.decision.learned is None
    assert "1.0%" in result.reason
    assert "3,000" in result.reason


def test_a_default_shown_to_be_wrong_is_closed() -> None:
    """Where the outcomes prove the default misses the target, nothing is served."""
    result = traffic(3_000, noise=0.3).settle(0.01)
    assert result.decision.closed
    assert result.decision.refusal(seen(0.99, 8.0), 0.999) == "calibration"


def test_a_wrong_hit_tightens_at_once() -> None:
    """The pair that was reported, and what is no likelier, is refused from then on."""
    made, pair = Calibration(), seen(0.93, 3.0)
    before = default_decision()
    assert before.refusal(pair, 0.95) is None
    after = made.report_wrong(pair, before)
    assert after.refusal(pair, 0.95) == "verifier"
    assert made.settle(0.01).decision.refusal(pair, 0.95) == "verifier"


def test_a_wrong_hit_tightens_what_was_learned_too() -> None:
    """A learned cut moves above the reported pair."""
    made, pair = traffic(4_000), seen(0.95, 5.0)
    learned = made.settle(0.01).decision
    assert learned.refusal(pair, 0.99) is None
    assert made.report_wrong(pair, learned).refusal(pair, 0.99) == "calibration"


def test_right_outcomes_give_back_what_a_wrong_hit_took() -> None:
    """After hundreds of right outcomes the tightening fades."""
    made, pair = Calibration(), seen(0.93, 3.0)
    made.report_wrong(pair, default_decision())
    for _ in range(1_500):
        made.observe(seen(0.95, 4.0), right=True)
    assert made.settle(0.01).decision.refusal(pair, 0.95) is None


def test_the_state_survives_a_store() -> None:
    """Read back, it settles on the same decision."""
    made = traffic(2_000)
    made.report_wrong(seen(0.93, 3.0), default_decision())
    again = Calibration.from_bytes(made.to_bytes())
    assert len(again) == len(made)
    assert again.stricter == made.stricter
    assert again.settle(0.01).standing is made.settle(0.01).standing


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": 1, "features": ["a"]}', b"\xff"]
)
def test_a_spoilt_state_is_told(content: bytes) -> None:
    """Bytes that are no calibration, or another version's, raise BadState."""
    with pytest.raises(BadState):
        Calibration.from_bytes(content)
