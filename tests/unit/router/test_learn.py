import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.learn import features
from services.router.learn.curve import apgr_interval, curve
from services.router.learn.learner import Learner, with_embedding
from services.router.learn.linear import fit_linear
from services.router.learn.prior import FILE_BYTES_MAX, Prior
from services.router.learn.trees import fit_trees
from services.router.training.fit import fit_prior, packed

PROMPTS = [
    "Translate to French: good morning, where is the station?",
    "A train leaves at 3:15 and travels 120 km at 80 km/h. When does it arrive?",
    "Write a Python function that reverses the words of a sentence.\ndef f(text):",
    "Which of these is a noble gas?\nA. Oxygen\nB. Argon\nC. Iron\nD. Chlorine",
    "请用一句话总结下面的文章，并指出作者的主要观点。",
    "",
]


@pytest.fixture(scope="module")
def prior() -> Prior:
    return Prior.shipped()


def test_a_perfect_order_closes_the_gap_first() -> None:
    """Need that equals the gain is better than none, which scores 0.5 whatever the rows' order."""
    rng = np.random.default_rng(0)
    weak, strong = rng.integers(0, 2, 400).astype(float), np.ones(400)
    best = curve(strong - weak, weak, strong)
    flat = curve(np.zeros(400), weak, strong)
    worst = curve(weak - strong, weak, strong)
    assert best is not None
    assert flat is not None
    assert worst is not None
    assert flat.apgr == pytest.approx(0.5)
    assert best.apgr > 0.7
    assert worst.apgr < 0.3
    assert best.cpt50 < 0.3 < flat.cpt50 < worst.cpt50
    assert curve(weak, strong, weak) is None


def test_an_interval_says_when_nothing_is_known() -> None:
    """The interval of a random order holds 0.5; that of a good one lies above it."""
    rng = np.random.default_rng(1)
    weak = rng.integers(0, 2, 500).astype(float)
    strong = np.maximum(weak, rng.integers(0, 2, 500))
    random = apgr_interval(rng.random(500), weak, strong, rng)
    good = apgr_interval(strong - weak + rng.random(500), weak, strong, rng)
    assert random is not None
    assert good is not None
    assert random[0] < 0.5 < random[1]
    assert good[0] > 0.55


def test_lines_and_trees_find_what_is_there() -> None:
    """A line is found by the line, a step by the trees, on whichever side is smaller."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(600, 8)).astype(np.float32)
    ones = np.ones(600, np.float32)
    target = (rows[:, [1]] * 2 + 1).astype(np.float32)
    assert fit_linear(rows, target, 1e-3, ones).predict(rows) == pytest.approx(target, abs=0.01)
    few = fit_linear(rows[:5], target[:5], 1e-3, ones[:5])
    assert few.predict(rows[:5]) == pytest.approx(target[:5], abs=0.05)
    step = (rows[:, 3] > 0.4).astype(np.float32)
    trees = fit_trees(
        rows, step - step.mean(), ones, count=80, depth=2, rate=0.1, ridge=1.0, rng=rng
    )
    said = trees.predict(rows) + step.mean() > 0.5
    assert (said == (step > 0.5)).mean() > 0.95


def test_a_prompt_reads_the_same_alone_and_in_a_batch(prior: Prior) -> None:
    """Who else is in the batch changes nothing."""
    together = prior.vectors(PROMPTS)
    alone = np.vstack([prior.vectors([prompt]) for prompt in PROMPTS])
    assert together == pytest.approx(alone, abs=1e-4)


def test_case_and_white_space_change_nothing(prior: Prior) -> None:
    """Upper case, tabs and blank lines are the same prompt."""
    for prompt in PROMPTS[:-1]:
        noisy = "  " + prompt.upper().replace(" ", " \n\t ") + "\n\n"
        assert prior.vectors([noisy]) == pytest.approx(prior.vectors([prompt]), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=200), min_size=1, max_size=5))
def test_any_text_has_numbers_in_range(texts: list[str]) -> None:
    """Whatever the characters, vectors are finite and need and scores are shares."""
    prior = _shipped()
    vectors = prior.vectors(texts)
    assert np.isfinite(vectors).all()
    need = prior.need(vectors)
    weak, strong = prior.tiers(vectors)
    assert ((need >= 0) & (need <= 1)).all()
    assert ((weak >= 0) & (weak <= strong) & (strong <= 1)).all()


def test_a_very_long_prompt_is_read_at_both_ends() -> None:
    """The middle of a long prompt is not read, its end is."""
    limit = features.HEAD_CHARS_MAX + features.TAIL_CHARS_MAX
    plain = features.plain("a " * limit + "the question?")
    assert len(plain) <= limit + 1
    assert plain.endswith("the question?")


def test_the_shipped_file_is_small_and_knows_models(prior: Prior) -> None:
    """Under 200 KB, and models it knows are told apart on easy and hard prompts."""
    from importlib.resources import files

    size = len(files("services.router.learn").joinpath("prior.npz").read_bytes())
    assert size < FILE_BYTES_MAX
    vectors = prior.vectors(PROMPTS[:4])
    names = ["gpt-4o-2024-08-06", "gemma-2-2b-it"]
    quality = prior.quality(vectors, names)
    assert quality.shape == (4, 2)
    assert (quality[:, 0] > quality[:, 1]).all()


def test_a_prior_is_fitted_packed_and_read_back() -> None:
    """What training writes, the service reads, and it tells hard from easy prompts."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(240):
        hard = number % 2
        words = "prove the theorem of" if hard else "name the colour of"
        score = 0 if hard else 1
        rows.append(
            {
                "prompt": f"{words} {rng.integers(1000)} please",
                "source": "s",
                "task": f"t{hard}",
                "group": str(number),
                "scores": {"gemma-2-9b-it": score, "mistral-large-2": 1},
            }
        )
    prior = Prior.read(packed(fit_prior(rows)))
    need = prior.need(prior.vectors(["prove the theorem of 7 please", "name the colour of 7"]))
    assert need[0] > need[1]
    assert set(prior.names) == {"gemma-2-9b-it", "mistral-large-2"}


def _learner(labels: int) -> tuple[Learner, np.ndarray]:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(labels, 6)).astype(np.float32)
    scores = np.full((labels, 2), np.nan, np.float32)
    scores[:, 0] = vectors[:, 0] > 0
    scores[::2, 1] = 1.0
    return Learner(vectors, scores, np.ones(labels, np.float32), rng), vectors


def test_own_labels_take_over_near_them_and_the_prior_far_away() -> None:
    """Near many labels their outcomes count; far from all of them the prior does."""
    learner, _ = _learner(600)
    near = np.array([[2.0, 0, 0, 0, 0, 0], [-2.0, 0, 0, 0, 0, 0]], np.float32)
    prior = np.full((2, 2), 0.4, np.float32)
    seen = learner.outlook(near, prior)
    assert seen.quality[0, 0] > 0.75
    assert seen.quality[1, 0] < 0.25
    assert seen.quality[:, 1] == pytest.approx(1.0, abs=0.15)
    few, _ = _learner(5)
    unsure = few.outlook(near, prior)
    assert (unsure.trust < seen.trust).all()
    assert abs(unsure.quality[0, 0] - 0.4) < abs(seen.quality[0, 0] - 0.4)
    assert (unsure.spread > seen.spread).all()


def test_neighbours_are_named_nearest_first() -> None:
    """A labelled prompt is its own nearest neighbour."""
    learner, vectors = _learner(300)
    outlook = learner.outlook(vectors[7:8], np.full((1, 2), 0.5, np.float32))
    assert outlook.nearest[0, 0] == 7


def test_an_embedding_of_another_width_is_left_out() -> None:
    """Embeddings sit beside the vector; one of the wrong width counts as none."""
    vectors = np.ones((3, 4), np.float32)
    beside = with_embedding(vectors, [np.ones(2, np.float32), None, np.ones(5, np.float32)], 2)
    assert beside.shape == (3, 6)
    assert (beside[0, 4:] > 0).all()
    assert not beside[1:, 4:].any()
    assert with_embedding(vectors, [None] * 3, 0) is vectors


def _shipped() -> Prior:
    global _PRIOR  # noqa: PLW0603 - read once for all hypothesis examples
    if _PRIOR is None:
        _PRIOR = Prior.shipped()
    return _PRIOR


_PRIOR: Prior | None = None
