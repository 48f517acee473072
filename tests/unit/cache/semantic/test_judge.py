from collections.abc import Sequence

import numpy as np
import pytest

from services.cache.semantic import guards
from services.cache.semantic.decide import default_decision
from services.cache.semantic.evaluate import Pair, judge_pairs
from services.cache.semantic.judge import Candidate, Judge, load_judge
from services.cache.semantic.shipped import ShippedJudge
from tests.unit.cache.semantic.near_misses import near_misses, rewordings

NEAR_MISSES_ACCEPTED_MAX = 0.01
REWORDINGS_SERVED_MIN = 0.85
FRANCE = "What is the capital of France?"


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


def served(judge: Judge, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether each pair's answer would be served."""
    rows = [Pair(a, b, False, "") for a, b in pairs]
    return [verdict.accept for verdict in judge_pairs(judge, rows, default_decision())]


@pytest.mark.parametrize("text", ["What's the capital city of France?", "Tell me France's capital"])
def test_the_articles_rewordings_are_served(judge: Judge, text: str) -> None:
    """The example that the cache is sold with."""
    assert served(judge, [(text, FRANCE), (FRANCE, text)]) == [True, True]


def test_another_country_is_never_served(judge: Judge) -> None:
    """Germany's capital is not France's, however near the vectors are."""
    germany = "What is the capital of Germany?"
    wordings = (FRANCE, "What's the capital city of France?", "Tell me France's capital")
    assert not any(served(judge, [(germany, each) for each in wordings]))


def test_near_misses_are_refused_and_rewordings_served(judge: Judge) -> None:
    """One changed number, name, direction or polarity is not served; the same question is."""
    accepted = served(judge, near_misses())
    assert sum(accepted) <= NEAR_MISSES_ACCEPTED_MAX * len(accepted)
    again = served(judge, rewordings())
    assert sum(again) >= REWORDINGS_SERVED_MIN * len(again)


def test_without_guards_near_misses_would_be_served(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guards carry the promise: with them off, the test above would fail."""
    monkeypatch.setattr(guards, "GUARDS", ())
    accepted = served(judge, near_misses())
    assert sum(accepted) > NEAR_MISSES_ACCEPTED_MAX * len(accepted)


def test_every_refusal_is_explained(judge: Judge) -> None:
    """Too far, a guard by name, the verifier: each says so, and only the asked have a p."""
    candidates = [
        Candidate("How do I bake bread?", 0.1),
        Candidate("What is the capital of Spain?", 0.9),
        Candidate("What's the capital city of France?", 0.95),
        Candidate("What is the capital gain of France?", 0.9),
    ]
    found = judge.judge(FRANCE, candidates, default_decision())
    assert [v.refused_by for v in found] == ["similarity", "guard.names", None, "verifier"]
    assert [v.p_same is None for v in found] == [True, True, False, False]
    assert [v.accept for v in found] == [False, False, True, False]


def test_mine_and_now_need_an_owner(judge: Judge) -> None:
    """In a scope that many share, "my" question is answered for nobody else."""
    candidate = [Candidate("What is the status of my order?", 0.97)]
    shared = judge.judge("What's the status of my order?", candidate, default_decision())
    own = judge.judge(
        "What's the status of my order?", candidate, default_decision(owner_in_scope=True)
    )
    assert shared[0].refused_by == "exact_only"
    assert own[0].accept


def test_a_text_past_the_window_is_exact_only(judge: Judge) -> None:
    """What the networks cannot see whole they do not judge."""
    long = "Summarize this: " + "the quick brown fox jumps over it. " * 30
    assert judge.exact_only(long, default_decision())
    assert judge.judge(FRANCE, [Candidate(long, 0.9)], default_decision())[0].refused_by == (
        "exact_only"
    )
    assert not judge.exact_only(FRANCE, default_decision())


def test_a_verifier_that_fails_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the network refuses; it neither serves nor reaches the caller."""
    judge = ShippedJudge(1)

    def broken(pairs: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(judge._verifier, "p_same", broken)
    found = judge.judge(FRANCE, [Candidate("capital of France", 0.95)], default_decision())
    assert (found[0].accept, found[0].refused_by) == (False, "verifier")


def test_vectors_are_units_and_do_not_depend_on_the_batch(judge: Judge) -> None:
    """(n, 384) and (n, 256) unit rows; a text's vector is the same whoever asks beside it."""
    texts = [FRANCE, "hi", "", "a much longer question about the weather in the south of Spain?"]
    together = judge.embed(texts)
    assert together.shape == (4, 384)
    assert judge.screen(texts).shape == (4, 256)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    alone = np.concatenate([judge.embed([text]) for text in texts])
    assert np.array_equal(together, alone)
    assert judge.embed([]).shape == (0, 384)


def test_the_screen_sees_likeness(judge: Judge) -> None:
    """A rewording is nearer than another subject, without a network."""
    near, far = (
        judge.screen([FRANCE, "What's the capital city of France?", "bake a cake"])[1:]
        @ (judge.screen([FRANCE])[0])
    )
    assert near > far + 0.3


def test_the_screen_spares_the_embedding_what_guards_refuse(judge: Judge) -> None:
    """Only neighbours that could come to a hit are worth a vector."""
    near = [
        Candidate("What is the capital of Germany?", 0.95),
        Candidate("What's the capital city of France?", 0.9),
        Candidate("bake a cake", 0.1),
    ]
    assert judge.worth_embedding(FRANCE, near) == [1]
    assert judge.worth_embedding(FRANCE, near[:1]) == []


def test_the_version_names_the_weights(judge: Judge) -> None:
    """The same files, the same version, in any process."""
    assert judge.model_version == load_judge().model_version
    assert len(judge.model_version) == 12
