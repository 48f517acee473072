"""What the router knows beyond the fleet file: the prior, tenants' outcomes, models' health.

Methods do CPU work and file IO: they are for a worker thread. One at a time is let in.
"""

import copy
import hashlib
import logging
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from catalog.fleet import Fleet
from catalog.price import cost_nanos
from catalog.prices import Unpriced
from catalog.usage import Usage
from services.router.advice import ONE_SIDED, Advice, Estimate
from services.router.candidate import Want
from services.router.learn import features
from services.router.learn.learner import PRIOR_SPREAD, with_embedding
from services.router.learn.prior import Prior
from services.router.own.health import Ending, Health
from services.router.own.log import (
    TENANTS_MAX,
    OutcomeLog,
    applied_line,
    decision_line,
    outcome_line,
)
from services.router.own.policy_curve import Applied, Curve, Proposal
from services.router.own.summary import Summary, summary
from services.router.own.tenant import DecisionUnknown, Made, OutcomeReused, Tenant, Told

Floats = NDArray[np.float32]
_log = logging.getLogger("services.router.mind")

FEATURES_NAMED = 8
AGREED_LABELS_MIN = 20
PENDING_MAX = 256
_MIDDLING = 50


class OutcomesUnavailable(Exception):
    """The file of outcomes cannot be written."""


class ProposalUnknown(Exception):
    """This is not what is proposed for the tenant now."""


class TooManyTenants(Exception):
    """No outcomes of a further tenant are kept."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one prompt looks like: the vector to learn from, and the advice on it."""

    vector: Floats
    advice: Advice


class Mind:
    """One process's knowledge. `log` None: outcomes live as long as the process."""

    def __init__(self, fleet: Fleet, prior: Prior, log: OutcomeLog | None, at: datetime) -> None:
        self._fleet = fleet
        self._prior = prior
        self._log = log
        self._lock = threading.Lock()
        self._health = Health()
        self._tenants: dict[str, Tenant] = log.load() if log else {}
        self._pending: list[str] = []
        self._latency: Mapping[str, float] = {}
        self._names = [card.name for card in fleet.models.all()]
        self._strengths = np.array(_strengths(fleet, at), dtype=np.float32) / 100
        self.learn(at)

    def under(self, fleet: Fleet, at: datetime) -> "Mind":
        """The same knowledge for another fleet file; who reads with this one goes on with it."""
        other = copy.copy(self)
        other._fleet = fleet
        other._names = [card.name for card in fleet.models.all()]
        other._strengths = np.array(_strengths(fleet, at), dtype=np.float32) / 100
        return other

    @property
    def _half_life(self) -> int:
        return self._fleet.config.routing.learning.half_life_days

    def read(self, wants: Sequence[Want]) -> list[Reading | None]:
        """Advice on each prompt, None where no text was sent."""
        told = [want for want in wants if want.text]
        if not told:
            return [None] * len(wants)
        vectors = self._prior.vectors([want.text for want in told])
        need = self._prior.need(vectors)
        prior = self._expected(vectors)
        with self._lock:
            by_tenant: dict[str, list[int]] = {}
            for n, want in enumerate(told):
                by_tenant.setdefault(want.tenant, []).append(n)
            readings: dict[int, Reading] = {}
            for name, places in by_tenant.items():
                wanted = [told[n] for n in places]
                found = self._readings(name, wanted, vectors[places], need[places], prior[places])
                readings.update(zip(places, found, strict=True))
        rest = (readings[n] for n in range(len(told)))
        return [next(rest) if want.text else None for want in wants]

    def remember(self, decided: Sequence[tuple[Want, Reading, Mapping[str, float]]]) -> None:
        """Keeps decisions so that outcomes can be told of them: prompts as vectors, and how likely
        each model was to be asked."""
        with self._lock:
            for want, reading, odds in decided:
                if not want.draw_key:
                    continue
                try:
                    tenant = self._tenant(want.tenant)
                except TooManyTenants:
                    continue
                made = Made(want.feature, odds)
                tenant.decided(want.draw_key, reading.vector, made)
                if self._log is not None and len(self._pending) < 100 * PENDING_MAX:
                    self._pending.append(
                        decision_line(want.tenant, want.draw_key, reading.vector, made)
                    )

    @property
    def must_flush(self) -> bool:
        """Whether decisions wait to be written."""
        return len(self._pending) >= PENDING_MAX

    def flush(self) -> None:
        """Writes what waits. Raises OutcomesUnavailable; then it waits on."""
        with self._lock:
            self._write([])

    def tell(self, outcomes: Sequence[tuple[str, Told]]) -> list[bool | Exception]:
        """Takes outcomes of tenants: False for one that was known. On the disk on return.

        An exception stands for one that was not taken: DecisionUnknown, OutcomeReused,
        OutcomesUnavailable, TooManyTenants.
        """
        answers: list[bool | Exception] = []
        with self._lock:
            for name, told in outcomes:
                try:
                    answers.append(self._tenant(name).told(told))
                except (DecisionUnknown, OutcomeReused, TooManyTenants) as error:
                    answers.append(error)
            fresh = [pair for pair, answer in zip(outcomes, answers, strict=True) if answer is True]
            try:
                self._write([outcome_line(name, told) for name, told in fresh])
            except OutcomesUnavailable as error:
                for name, told in fresh:
                    self._tenants[name].outcomes.pop(told.key, None)
                return [error if answer is True else answer for answer in answers]
        return answers

    def _tenant(self, name: str) -> Tenant:
        if name not in self._tenants and len(self._tenants) >= TENANTS_MAX:
            raise TooManyTenants
        return self._tenants.setdefault(name, Tenant())

    def note_call(self, model: str, ending: Ending, latency_ms: int, seconds: float) -> None:
        """A call has ended: counts for the model's health."""
        with self._lock:
            self._health.note(model, ending, latency_ms, seconds)
            usual = self._health.vitals(model, seconds).latency_ms
            if usual is not None:
                self._latency = {**self._latency, model: usual}

    def learn(self, at: datetime) -> int:
        """Takes new labels in; how many tenants' learners changed. Seconds of CPU at most."""
        changed = 0
        for name in list(self._tenants):
            with self._lock:
                tenant = self._tenants[name]
                if not tenant.taken_up():
                    continue
                apart = tenant.copied()
            nanos, baseline = self._usual_nanos(apart, at), self._fleet.baseline_model(at)
            if apart.learn(at.timestamp(), self._half_life, nanos=nanos, baseline=baseline):
                changed += 1
                with self._lock:
                    tenant.adopt(apart)
                if self._fleet.config.routing.learning.apply_proposals:
                    self._apply_best(name, at)
        return changed

    def unhealthy(self, seconds: float) -> Mapping[str, str]:
        """The models that fail too often at present, and how."""
        with self._lock:
            return self._health.unhealthy(seconds)

    def health(self) -> Health:
        """Vitals of all models."""
        return self._health

    def agreed_percent(self, tenant_name: str, feature: str, model: str) -> tuple[int, int] | None:
        """How often the model's answers in a feature stood their checks lately, and how often they
        may stand at most, nine times in ten. None: too few are known."""
        with self._lock:
            tenant = self._tenants.get(tenant_name)
            scores = list(tenant.stood.get((feature, model), ())) if tenant else []
        if len(scores) < AGREED_LABELS_MIN:
            return None
        mean = sum(scores) / len(scores)
        most = mean + ONE_SIDED * math.sqrt(mean * (1 - mean) / len(scores))
        return int(100 * mean), int(100 * min(most, 1.0))

    def curve(self, tenant_name: str) -> Curve | None:
        """Quality against dollars for a tenant; None while there are too few labels."""
        with self._lock:
            tenant = self._tenants.get(tenant_name)
            return tenant.curve if tenant else None

    def summary(self, tenant_name: str, at: datetime) -> tuple[Summary, bool | None]:
        """What routing saved the tenant, and whether choosing by prompt pays (None: unknown)."""
        baseline = self._fleet.baseline_model(at)
        with self._lock:
            tenant = self._tenants.get(tenant_name) or Tenant()
            return summary(tenant, baseline, lambda n: self._written_nanos(n, at)), tenant.pays

    def proposal(self, tenant_name: str) -> Proposal | None:
        """The bound that would serve a tenant better, None when none would."""
        with self._lock:
            return self._proposal(tenant_name)

    def apply(self, tenant_name: str, proposal_id: str, at: datetime) -> Applied:
        """Lets what is proposed hold from now on; what holds already is no error.

        Raises: ProposalUnknown; OutcomesUnavailable, and then nothing has changed.
        """
        with self._lock:
            tenant, found = self._tenants.get(tenant_name), self._proposal(tenant_name)
            holds = tenant.applied if tenant else None
            if holds and proposal_id == f"v{holds.version}-{holds.quality_percent_min}":
                return holds
            if tenant is None or found is None or found.proposal_id != proposal_id:
                raise ProposalUnknown
            bound = found.expected.quality_percent_min
            applied = Applied(found.version, bound, at.timestamp())
            self._write([applied_line(tenant_name, applied)])
            tenant.applied = applied
            return applied

    def bound(self, tenant_name: str) -> Applied:
        """What holds for a tenant; version 0 is the fleet file's."""
        with self._lock:
            tenant = self._tenants.get(tenant_name)
            return (tenant.applied if tenant else None) or Applied(0, self._wanted_percent, 0.0)

    @property
    def _wanted_percent(self) -> int:
        return self._fleet.config.routing.target.quality_percent_min

    def _proposal(self, tenant_name: str) -> Proposal | None:
        tenant = self._tenants.get(tenant_name)
        if tenant is None:
            return None
        present = tenant.applied.quality_percent_min if tenant.applied else self._wanted_percent
        return tenant.proposal(present, self._wanted_percent)

    def _apply_best(self, tenant_name: str, at: datetime) -> None:
        found = self.proposal(tenant_name)
        if found is None:
            return
        try:
            self.apply(tenant_name, found.proposal_id, at)
        except (ProposalUnknown, OutcomesUnavailable):
            return
        _log.info(
            "a proposal was applied",
            extra={"tenant": tenant_name, "proposal_id": found.proposal_id},
        )

    def _usual_nanos(self, tenant: Tenant, at: datetime) -> Mapping[str, int]:
        """What a usual call of the tenant costs at each model: the same prompt, its own length."""
        read, written = tenant.input_tokens(), tenant.output_tokens()
        if not read:
            return {}
        usual = sum(written.values()) // max(len(written), 1)
        found = {}
        for name in self._names:
            try:
                price = self._fleet.book.price(name, at)
            except Unpriced:
                continue
            found[name] = cost_nanos(price, Usage(read, output_tokens=written.get(name, usual)))
        return found

    def unusual(self, vector: Floats) -> list[tuple[str, float]]:
        """What sets the prompt apart from usual ones: names and standard deviations."""
        numbers = vector[: len(features.NAMES)]
        order = np.argsort(-np.abs(numbers))[:FEATURES_NAMED]
        return [(features.NAMES[n], round(float(numbers[n]), 3)) for n in order]

    def _written_nanos(self, tokens: int, at: datetime) -> int | None:
        baseline = self._fleet.baseline_model(at)
        if baseline is None:
            return None
        return cost_nanos(self._fleet.book.price(baseline, at), Usage(output_tokens=tokens))

    def _write(self, lines: list[str]) -> None:
        if self._log is None:
            self._pending.clear()
            return
        try:
            self._log.append([*self._pending, *lines])
        except OSError as error:
            raise OutcomesUnavailable from error
        self._pending.clear()

    def _expected(self, vectors: Floats) -> Floats:
        weak, strong = self._prior.tiers(vectors)
        expected = weak[:, None] + (strong - weak)[:, None] * self._strengths
        return expected.astype(np.float32)

    def _readings(
        self, name: str, wants: Sequence[Want], vectors: Floats, need: Floats, prior: Floats
    ) -> list[Reading]:
        """One tenant's prompts, together: its outcomes are looked through once."""
        width = max(len(want.embedding) for want in wants)
        whole = vectors
        if width:
            embeddings = [np.array(want.embedding, np.float32) for want in wants]
            whole = with_embedding(vectors, embeddings, width)
        tenant = self._tenants.get(name)
        found = tenant.outlook(whole, self._names, prior) if tenant is not None else None
        quality, ids = prior, list[str]()
        spread, trust = np.full_like(prior, PRIOR_SPREAD), np.zeros_like(prior)
        nearest: list[list[str]] = [[] for _ in wants]
        if found is not None:
            outlook, named = found
            ids = list(named)
            quality, trust = outlook.quality, outlook.trust
            spread = np.nan_to_num(outlook.spread, nan=PRIOR_SPREAD).astype(np.float32)
            nearest = [[ids[n] for n in row] for row in outlook.nearest]
        lengths = tenant.output_tokens() if tenant is not None else {}
        pays = tenant.pays if tenant is not None else None
        bound = tenant.applied.quality_percent_min if tenant and tenant.applied else None
        expected = zip(quality.tolist(), spread.tolist(), trust.tolist(), strict=True)
        return [
            Reading(
                whole[row],
                Advice(
                    estimates=dict(zip(self._names, map(Estimate, *three), strict=True)),
                    need=float(need[row]),
                    pays=pays,
                    nearest=nearest[row],
                    output_tokens=lengths,
                    latency_ms=self._latency,
                    labels=len(ids),
                    quality_percent_min=bound,
                ),
            )
            for row, three in enumerate(expected)
        ]


def drawn(key: str, percent: int) -> bool:
    """Whether a request is among the `percent` of requests: the same key, the same answer."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 10_000 < percent * 100


def _strengths(fleet: Fleet, at: datetime) -> list[float]:
    """0 to 100 a model: the operator's word, else its place among the prices of the fleet."""
    logs: dict[str, float] = {}
    for card in fleet.models.all():
        try:
            rates = fleet.book.price(card.name, at).rates
        except Unpriced:
            continue
        logs[card.name] = math.log(1 + rates.input_picos + rates.output_picos)
    low, high = min(logs.values(), default=0.0), max(logs.values(), default=0.0)
    found = []
    for card in fleet.models.all():
        if card.strength_percent is not None:
            found.append(float(card.strength_percent))
        elif card.name in logs and high > low:
            found.append(100 * (logs[card.name] - low) / (high - low))
        else:
            found.append(float(_MIDDLING))
    return found
