"""What each feature has learned of its own hits: stricter at once after a wrong one, and a decision
of its own once enough outcomes show that it keeps the operator's target."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from services.cache import places
from services.cache.fingerprint import scope_tag
from services.cache.link import Link, rows
from services.cache.semantic.port import Decision
from services.cache.store import StoreUnavailable

_log = logging.getLogger("spendgate.cache.decisions")

# A decision is asked for with every semantic look-up; another process may have learned meanwhile.
KNOWN_SECONDS_MAX = 2.0
FEATURES_KNOWN_MAX = 10_000
# One wrong hit takes this off the distance at which a feature is served, in thousandths of cosine.
TIGHTEN_THOUSANDTHS = 10
SIMILARITY_MOST = 0.99
OUTCOMES_KEPT_MAX = 5_000
# Learning again after every outcome would cost more than it can show.
LEARN_EVERY = 50
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a semantic hit turned out: what the decision saw, and whether it was right."""

    similarity: float
    p_same: float | None
    features: Mapping[str, float]
    right: bool


class Calibrator(Protocol):
    """Learns a feature's decision. Blocking CPU work."""

    def default(self) -> Decision:
        """The conservative decision for who has shown nothing."""
        ...

    def learn(self, outcomes: Sequence[Outcome], wrong_hit_rate_max: float) -> Decision | str:
        """A decision whose share of wrong hits is shown to be at most `wrong_hit_rate_max` (0 to
        1), or why none can be shown."""
        ...


class Decisions:
    """Decisions by tenant and feature, in Redis. `clock` is monotonic, in seconds."""

    def __init__(self, link: Link, calibrator: Calibrator, *, clock: Callable[[], float]) -> None:
        self._link = link
        self._calibrator = calibrator
        self._clock = clock
        self._default = calibrator.default()
        self._known: OrderedDict[tuple[str, str], tuple[float, int, dict[str, Any]]] = OrderedDict()

    async def of(self, tenant: str, feature: str, ppm: int) -> Decision:
        """The decision for a target in millionths. Without the store: the last one known."""
        tight, learned = await self._state(tenant, feature)
        base = _decision(learned.get(str(ppm))) or self._default
        if not tight:
            return base
        raised = base.similarity_min + tight / 1000
        return replace(base, similarity_min=min(SIMILARITY_MOST, raised))

    async def heard(self, tenant: str, feature: str, outcome: Outcome, ppm: int) -> Decision:
        """Takes an outcome in; the decision from now on. Raises StoreUnavailable."""
        outcomes = _outcomes(tenant, feature)
        told = json.dumps([outcome.similarity, outcome.p_same, outcome.right,
                           dict(outcome.features)])  # fmt: skip
        field = places.digest(feature).hex()
        where = places.learned(tenant)
        step = 0 if outcome.right else TIGHTEN_THOUSANDTHS
        replies = await self._link.run(
            [
                ("LPUSH", outcomes, told),
                ("LTRIM", outcomes, 0, OUTCOMES_KEPT_MAX - 1),
                ("HINCRBY", where, f"{field}:tight", step),
                ("HINCRBY", where, f"{field}:count", 1),
            ]
        )
        for reply in replies:
            if isinstance(reply, StoreUnavailable):
                raise reply
        self._known.pop((tenant, feature), None)
        if isinstance(count := replies[3], int) and count % LEARN_EVERY == 0:
            await self.learn(tenant, feature, ppm)
        return await self.of(tenant, feature, ppm)

    async def learn(self, tenant: str, feature: str, ppm: int) -> str:
        """Learns from the outcomes kept; why not, or "". Raises StoreUnavailable.

        What was learned takes the place of the tightening: it knows the same wrong hits.
        """
        (reply,) = await self._link.run([("LRANGE", _outcomes(tenant, feature), 0, -1)])
        outcomes = [each for each in map(_outcome, rows(reply)) if each is not None]
        found = await asyncio.to_thread(self._calibrator.learn, outcomes, ppm / PPM)
        field = places.digest(feature).hex()
        where = places.learned(tenant)
        if isinstance(found, str):
            _log.info("no decision was learned", extra={"count": len(outcomes), "why": found})
            await self._link.run([("HDEL", where, f"{field}:{ppm}")])
        else:
            text = json.dumps([found.similarity_min, dict(found.data)])
            await self._link.run(
                [("HSET", where, f"{field}:{ppm}", text), ("HDEL", where, f"{field}:tight")]
            )
        self._known.pop((tenant, feature), None)
        return found if isinstance(found, str) else ""

    async def _state(self, tenant: str, feature: str) -> tuple[int, dict[str, Any]]:
        known = self._known.get((tenant, feature))
        if known is not None and self._clock() - known[0] < KNOWN_SECONDS_MAX:
            return known[1], known[2]
        try:
            tight, learned = await self._read(tenant, feature)
        except StoreUnavailable:
            return (known[1], known[2]) if known else (0, {})
        self._known[tenant, feature] = (self._clock(), tight, learned)
        self._known.move_to_end((tenant, feature))
        if len(self._known) > FEATURES_KNOWN_MAX:
            self._known.popitem(last=False)
        return tight, learned

    async def _read(self, tenant: str, feature: str) -> tuple[int, dict[str, Any]]:
        field = places.digest(feature).hex()
        (keys,) = await self._link.run([("HGETALL", places.learned(tenant))])
        tight = 0
        learned: dict[str, Any] = {}
        if isinstance(keys, dict):
            for name, value in keys.items():
                owner, _, what = name.decode().partition(":")
                if owner != field or what == "count":
                    continue
                if what == "tight":
                    tight = int(value)
                else:
                    learned[what] = _loaded(value)
        return tight, learned


def _outcomes(tenant: str, feature: str) -> str:
    return f"sg:{{{scope_tag(tenant, '', '')}}}:o:{places.digest(feature).hex()}"


def _loaded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _decision(told: Any) -> Decision | None:
    try:
        similarity_min, data = told
        return Decision(float(similarity_min), dict(data))
    except (TypeError, ValueError):
        return None


def _outcome(raw: object) -> Outcome | None:
    try:
        similarity, p_same, right, features = json.loads(raw if isinstance(raw, bytes) else b"")
        return Outcome(similarity, p_same, features, bool(right))
    except (TypeError, ValueError):
        return None
