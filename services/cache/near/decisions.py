"""What each feature has learned of its own hits: stricter at once after a wrong one, and a decision
of its own once enough outcomes show that it keeps the operator's target."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from services.cache import places
from services.cache.fingerprint import scope_tag
from services.cache.link import Command, Link, pairs, raised, rows, whole
from services.cache.semantic.decide import Decision
from services.cache.store import StoreUnavailable

_log = logging.getLogger("spendgate.cache.decisions")

# A decision is asked for with every semantic look-up; another process may have learned meanwhile.
KNOWN_SECONDS_MAX = 2.0
FEATURES_KNOWN_MAX = 10_000
OUTCOMES_KEPT_MAX = 20_000
# Learning again after every outcome would cost more than it can show.
LEARN_EVERY = 100
# However many wrong hits were reported, a hit this sure is served: in log odds.
STRICTER_MAX = 6.0
# After so many right hits half of what wrong ones took is given back.
EASE_AFTER = 200
PPM = 1_000_000

Row = tuple[tuple[float, ...], bool]
"""What the judge saw of a hit, and whether it was right."""


class Calibrator(Protocol):
    """Learns a feature's decision."""

    def default(self) -> Decision:
        """The conservative decision for who has shown nothing."""
        ...

    def stricter(self, features: Sequence[float], decision: Decision) -> float:
        """By how many log odds to be surer after a wrong hit."""
        ...

    def learn(self, outcomes: Sequence[Row], target: float) -> tuple[Decision | None, str]:
        """A decision whose share of wrong hits is shown to be at most `target` (0 to 1), None
        where none can be shown; and the reason. Blocking CPU work."""
        ...

    def told(self, decision: Decision) -> Mapping[str, Any]:
        """A learned decision as JSON can hold it."""
        ...

    def read(self, told: Mapping[str, Any]) -> Decision | None:
        """What told() was given; None for what another version wrote."""
        ...


@dataclass(slots=True)
class _Known:
    """A feature's state as Redis had it."""

    at_seconds: float = 0.0
    stricter: float = 0.0
    learned: dict[str, Decision] = field(default_factory=dict)


class Decisions:
    """Decisions by tenant and feature, in Redis. `clock` is monotonic, in seconds."""

    def __init__(self, link: Link, calibrator: Calibrator, *, clock: Callable[[], float]) -> None:
        self._link = link
        self._calibrator = calibrator
        self._clock = clock
        self._default = calibrator.default()
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    async def of(self, tenant: str, feature: str, ppm: int, *, owned: bool = False) -> Decision:
        """The decision for a target in millionths. Without the store: the last one known.

        `owned`: the scope is one user's.
        """
        known = await self._state(tenant, feature)
        decision = known.learned.get(str(ppm), self._default)
        if known.stricter:
            decision = decision.tightened(known.stricter)
        return replace(decision, owner_in_scope=True) if owned else decision

    async def heard(
        self, tenant: str, feature: str, features: Sequence[float], *, right: bool, ppm: int
    ) -> Decision:
        """Takes an outcome in; the decision from now on. Raises StoreUnavailable."""
        decision = await self.of(tenant, feature, ppm)
        where, name = places.learned(tenant), places.digest(feature).hex()
        outcomes = _outcomes(tenant, feature)
        commands: list[Command] = [
            ("LPUSH", outcomes, json.dumps([*features, int(right)])),
            ("LTRIM", outcomes, 0, OUTCOMES_KEPT_MAX - 1),
            ("HINCRBY", where, f"{name}:count", 1),
            ("HINCRBY", where, f"{name}:right", 1)
            if right
            else ("HSET", where, f"{name}:right", 0),
        ]
        if not right:
            by = self._calibrator.stricter(features, decision)
            stricter = min(STRICTER_MAX, decision.stricter + by)
            commands.append(("HSET", where, f"{name}:stricter", repr(stricter)))
        replies = await self._link.run(commands)
        for reply in replies:
            raised(reply)
        if right and whole(replies[3]) >= EASE_AFTER:
            eased = repr(decision.stricter / 2)
            await self._link.run([("HSET", where, f"{name}:stricter", eased, f"{name}:right", 0)])
        self._known.pop((tenant, feature), None)
        if whole(replies[2]) % LEARN_EVERY == 0:
            await self.learn(tenant, feature, ppm)
        return await self.of(tenant, feature, ppm)

    async def learn(self, tenant: str, feature: str, ppm: int) -> str:
        """Learns from the outcomes kept; the reason for what came of it. Raises
        StoreUnavailable."""
        (reply,) = await self._link.run([("LRANGE", _outcomes(tenant, feature), 0, -1)])
        outcomes = [each for each in map(_outcome, rows(reply)) if each is not None]
        found, why = await asyncio.to_thread(self._calibrator.learn, outcomes, ppm / PPM)
        where, name = places.learned(tenant), f"{places.digest(feature).hex()}:{ppm}"
        if found is None:
            await self._link.run([("HDEL", where, name)])
        else:
            told = json.dumps(self._calibrator.told(found))
            await self._link.run([("HSET", where, name, told)])
        _log.info("a feature's outcomes were weighed", extra={"count": len(outcomes), "why": why})
        self._known.pop((tenant, feature), None)
        return why

    async def _state(self, tenant: str, feature: str) -> _Known:
        known = self._known.get((tenant, feature))
        if known is not None and self._clock() - known.at_seconds < KNOWN_SECONDS_MAX:
            return known
        try:
            fresh = await self._read(tenant, feature)
        except StoreUnavailable:
            return known or _Known()
        self._known[tenant, feature] = fresh
        self._known.move_to_end((tenant, feature))
        if len(self._known) > FEATURES_KNOWN_MAX:
            self._known.popitem(last=False)
        return fresh

    async def _read(self, tenant: str, feature: str) -> _Known:
        owner = places.digest(feature).hex()
        (reply,) = await self._link.run([("HGETALL", places.learned(tenant))])
        known = _Known(self._clock())
        for raw, value in pairs(reply).items():
            name, _, what = raw.decode(errors="replace").partition(":")
            if name != owner or not isinstance(value, bytes):
                continue
            if what == "stricter":
                known.stricter = _number(value)
            elif what.isdigit() and (decision := self._decision(value)) is not None:
                known.learned[what] = decision
        return known

    def _decision(self, raw: bytes) -> Decision | None:
        try:
            told = json.loads(raw)
        except ValueError:
            return None
        return self._calibrator.read(told) if isinstance(told, dict) else None


def _outcomes(tenant: str, feature: str) -> str:
    return f"sg:{{{scope_tag(tenant, '', '')}}}:o:{places.digest(feature).hex()}"


def _number(raw: bytes) -> float:
    try:
        return min(STRICTER_MAX, max(0.0, float(raw)))
    except ValueError:
        return 0.0


def _outcome(raw: object) -> Row | None:
    try:
        *features, right = json.loads(raw if isinstance(raw, bytes) else b"")
        return tuple(map(float, features)), bool(right)
    except (TypeError, ValueError):
        return None
