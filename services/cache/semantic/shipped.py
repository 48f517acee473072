"""The judge with the shipped weights: guards, then the verifier for what they let through."""

import hashlib
import logging
from collections.abc import Sequence
from functools import lru_cache

from services.cache.semantic.decide import Decision
from services.cache.semantic.embedder import Embedder
from services.cache.semantic.features import features
from services.cache.semantic.guards import Reading, depends_on_owner, read, refusal
from services.cache.semantic.judge import Candidate, Floats, Verdict
from services.cache.semantic.screen import Screen
from services.cache.semantic.session import PIECES_MAX
from services.cache.semantic.verifier import Verifier
from services.cache.semantic.wordpiece import WordPiece

_log = logging.getLogger("spendgate.cache.semantic")

READINGS_REMEMBERED_MAX = 2_000
TEXT_CHARS_MAX = 2_000
"""Longer texts are past the networks' window and not worth reading for guards."""


class ShippedJudge:
    """Judge (services.cache.semantic.judge). Thread-safe."""

    def __init__(self, threads: int) -> None:
        self._pieces = WordPiece.shipped()
        self._embedder = Embedder(self._pieces, threads)
        self._verifier = Verifier(self._pieces, threads)
        self._screen = Screen.shipped(self._pieces)
        self._read = lru_cache(READINGS_REMEMBERED_MAX)(read)
        parts = (self._embedder.version, self._verifier.version, self._screen.version)
        self.model_version = hashlib.sha256("/".join(parts).encode()).hexdigest()[:12]

    def exact_only(self, text: str, decision: Decision) -> bool:
        """See Judge."""
        if not text.strip() or len(text) > TEXT_CHARS_MAX:
            return True
        if not decision.owner_in_scope and depends_on_owner(self._read(text)):
            return True
        return len(self._pieces.ids(text, PIECES_MAX + 1)) > PIECES_MAX

    def embed(self, texts: Sequence[str]) -> Floats:
        """See Judge."""
        return self._embedder.embed(texts)

    def screen(self, texts: Sequence[str]) -> Floats:
        """See Judge."""
        return self._screen.vectors(texts)

    def worth_embedding(self, query: str, nearest: Sequence[Candidate]) -> list[int]:
        """See Judge."""
        likely = [n for n, c in enumerate(nearest) if self._screen.near(c.similarity)]
        if not likely:
            return []
        reading = self._read(query)
        return [n for n in likely if refusal(reading, self._read(nearest[n].text)) is None]

    def judge(
        self, query: str, candidates: Sequence[Candidate], decision: Decision
    ) -> list[Verdict]:
        """See Judge."""
        if self.exact_only(query, decision):
            return [_refused(each, "exact_only") for each in candidates]
        reading = self._read(query)
        verdicts: list[Verdict] = []
        asked: list[int] = []
        for place, each in enumerate(candidates):
            why = self._refusal(reading, each, decision)
            if why is None:
                asked.append(place)
            verdicts.append(_refused(each, why or "verifier"))
        if asked:
            self._verify(query, candidates, decision, verdicts, asked)
        return verdicts

    def _refusal(self, query: Reading, candidate: Candidate, decision: Decision) -> str | None:
        if candidate.similarity < decision.similarity_min:
            return "similarity"
        if self.exact_only(candidate.text, decision):
            return "exact_only"
        guard = refusal(query, self._read(candidate.text))
        return guard and f"guard.{guard}"

    def _verify(
        self,
        query: str,
        candidates: Sequence[Candidate],
        decision: Decision,
        verdicts: list[Verdict],
        asked: list[int],
    ) -> None:
        """Puts the verifier's verdicts in the places `asked`."""
        try:
            sure = self._verifier.p_same([(query, candidates[n].text) for n in asked])
        except Exception:
            # No text may reach the log; the pair stays refused.
            _log.exception("the verifier failed", extra={"pairs": len(asked)})
            return
        reading = self._read(query)
        for place, p in zip(asked, map(float, sure), strict=True):
            each = candidates[place]
            seen = features(reading, self._read(each.text), each.similarity, p)
            why = decision.refusal(seen, p)
            verdicts[place] = Verdict(why is None, each.similarity, p, why, seen)


def _refused(candidate: Candidate, why: str) -> Verdict:
    return Verdict(False, candidate.similarity, None, why)
