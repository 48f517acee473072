"""A judge that needs no model: words are dimensions, and a list says what means the same."""

import threading
import time
import zlib

import numpy as np

from services.cache.semantic.decide import Decision
from services.cache.semantic.judge import Verdict

SAME = (
    ("what is the capital of france?", "what's the capital city of france?",
     "tell me france's capital"),
)  # fmt: skip


class FakeJudge:
    """services.cache.semantic.judge.Judge. It keeps what was asked of it."""

    def __init__(self, *, model_version="fake/1", same=SAME):
        self.model_version = model_version
        self.same = same
        self.embedded = []
        self.screened = []
        self.judged = []
        self.threads = set()
        self.slow_seconds = 0.0
        self.fails = False

    def embed(self, texts):
        self._note()
        self.embedded.append(list(texts))
        return np.stack([self._vector(text, 384) for text in texts])

    def screen(self, texts):
        self.screened.append(list(texts))
        return np.stack([self._vector(text, 256) for text in texts])

    def exact_only(self, text, decision):
        words = set(text.lower().split())
        return len(text) > 800 or (not decision.owner_in_scope and bool(words & {"my", "today"}))

    def worth_embedding(self, query, nearest):
        return [place for place, each in enumerate(nearest) if each.similarity >= 0.75]

    def judge(self, query, candidates, decision):
        self._note()
        self.judged.append((query, [each.text for each in candidates]))
        verdicts = []
        for each in candidates:
            p_same, refused = None, None
            if each.similarity < decision.similarity_min:
                refused = "similarity"
            elif decision.stricter >= 1:
                refused, p_same = "verifier", 0.9
            elif self._group(query) != self._group(each.text):
                refused, p_same = "verifier", 0.1
            else:
                p_same = 0.9
            features = (each.similarity,)
            verdicts.append(Verdict(refused is None, each.similarity, p_same, refused, features))
        return verdicts

    def _note(self):
        self.threads.add(threading.current_thread().name)
        if self.slow_seconds:
            time.sleep(self.slow_seconds)
        if self.fails:
            raise RuntimeError("the model broke")

    def _group(self, text):
        """Texts of one group mean the same."""
        for number, group in enumerate(self.same):
            if text.lower() in group:
                return number
        return text.lower()

    def _vector(self, text, size):
        """Texts of one group are near, others are far but for "near ..." ones."""
        group = self._group(text)
        seed = hash_of(str(group))
        vector = np.random.default_rng(seed).normal(size=size)
        vector /= np.linalg.norm(vector)
        if text.lower().startswith("near "):
            base = self._vector(text[5:], size)
            vector = 0.95 * base + 0.05 * vector
        if isinstance(group, int):
            own = np.random.default_rng(hash_of(text)).normal(size=size)
            vector = vector + 0.3 * own / np.linalg.norm(own)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def hash_of(text):
    return zlib.crc32(text.encode())


class FakeCalibrator:
    """services.cache.near.decisions.Calibrator."""

    def __init__(self, found=None):
        self.found = found
        self.learned = []

    def default(self):
        return Decision(0.85)

    def stricter(self, features, decision):
        return 1.0

    def learn(self, outcomes, target):
        self.learned.append((list(outcomes), target))
        return self.found, "because"

    def told(self, decision):
        return {"closed": decision.closed}

    def read(self, told):
        return Decision(0.85, closed=told["closed"])
