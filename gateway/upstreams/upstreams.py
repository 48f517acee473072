"""Everything that is remembered of providers: one for the process, whatever the fleet file says."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import metrics

from catalog.resilience import HedgeConfig, HedgeMode, RetryConfig
from chassis import names
from gateway.providers.port import (
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    Unavailability,
)
from gateway.upstreams.allowance import Allowance
from gateway.upstreams.breaker import Breaker, Permit, State
from gateway.upstreams.pace import Pace

# A time-out says something of the provider when the call had at least this long: callers with
# tiny deadlines must not open a breaker for everybody else.
TIMEOUT_COUNTS_SECONDS = 10.0

_meter = metrics.get_meter("spendgate")
_opened = _meter.create_counter(
    names.METRIC_BREAKER_OPENED, unit="{time}", description="Breakers opened, by model."
)
_skipped = _meter.create_counter(
    names.METRIC_BREAKER_SKIPPED, unit="{call}", description="Calls left out by open breakers."
)
_states = _meter.create_gauge(
    names.METRIC_BREAKER_OPEN, unit="1", description="1 while a model's breaker is open."
)
_refused = _meter.create_counter(
    names.METRIC_RETRIES_REFUSED, unit="{retry}", description="Retries beyond the allowance."
)
_retried = _meter.create_counter(
    names.METRIC_RETRIES, unit="{call}", description="Further calls, by kind: retry or hedge."
)

Key = tuple[str, str]


@dataclass(slots=True)
class Leave:
    """Leave to call one model, given back once with how the call ended."""

    provider: str
    model: str
    streams: bool
    permit: Permit
    begun: float
    given_back: bool = False


class Upstreams:
    """By provider and upstream model. `clock` gives seconds that never go back."""

    def __init__(self, retry: RetryConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._retry = retry
        self._clock = clock
        self._breakers: dict[Key, Breaker] = {}
        self._allowances: dict[str, Allowance] = {}
        self._paces: dict[tuple[str, str, bool], Pace] = {}

    def take_over(self, retry: RetryConfig) -> None:
        """Other rules hold from now on. What was seen is kept as far as it fits them."""
        if retry.breaker != self._retry.breaker:
            for whom in self._breakers:
                _states.set(0, _labels(*whom))
            self._breakers.clear()
        self._allowances.clear()
        self._retry = retry

    def leave(self, provider: str, model: str, *, streams: bool) -> Leave | None:
        """Leave for a call. None: the breaker is open."""
        permit = self._breaker(provider, model).permit()
        if permit is None:
            _skipped.add(1, _labels(provider, model))
            return None
        return Leave(provider, model, streams, permit, self._clock())

    def left_seconds(self, provider: str, model: str) -> float:
        """Until the breaker lets the next call through."""
        return self._breaker(provider, model).left_seconds()

    def called(self, provider: str) -> None:
        """A first call was made: retries may follow."""
        self._allowance(provider).called()

    def may_retry(self, provider: str, kind: str) -> bool:
        """Whether one more call of the same model fits into the allowance; if so it counts."""
        if not self._allowance(provider).take():
            _refused.add(1, {names.GEN_AI_PROVIDER: provider})
            return False
        _retried.add(1, {names.GEN_AI_PROVIDER: provider, names.RETRY_KIND: kind})
        return True

    def hedge_after_seconds(
        self, provider: str, model: str, *, streams: bool, asked: bool | None
    ) -> float | None:
        """When a second call begins beside the first. None: never."""
        config: HedgeConfig = self._retry.hedge
        wanted = asked if asked is not None else config.mode is HedgeMode.ALWAYS
        if not wanted or config.mode is HedgeMode.NEVER:
            return None
        usual = self._pace(provider, model, streams).percentile(
            config.after_percent, config.calls_min
        )
        return None if usual is None else max(usual, config.after_seconds_min)

    def answered(self, leave: Leave) -> None:
        """A whole answer came; of a stream, its first piece."""
        if leave.given_back:
            return
        pace = self._pace(leave.provider, leave.model, leave.streams)
        pace.note(self._clock() - leave.begun)
        self._well(leave)

    def ended(self, leave: Leave, error: ProviderError | None) -> bool:
        """The call is over without an answer. True when that opened the breaker.

        None: it was given up, which says nothing of the provider.
        """
        if leave.given_back:
            # A stream that began and broke off.
            leave.permit = Permit(probe=False)
        if isinstance(error, ProviderRefused):
            self._well(leave)
            return False
        leave.given_back = True
        breaker = self._breaker(leave.provider, leave.model)
        if not isinstance(error, ProviderUnavailable) or not self._tells(leave, error):
            breaker.undecided(leave.permit)
            return False
        if not breaker.failed(leave.permit):
            return False
        _opened.add(1, _labels(leave.provider, leave.model))
        _states.set(1, _labels(leave.provider, leave.model))
        return True

    def _well(self, leave: Leave) -> None:
        leave.given_back = True
        breaker = self._breaker(leave.provider, leave.model)
        was_open = breaker.state is not State.CLOSED
        breaker.succeeded(leave.permit)
        if was_open and breaker.state is State.CLOSED:
            _states.set(0, _labels(leave.provider, leave.model))

    def _tells(self, leave: Leave, error: ProviderUnavailable) -> bool:
        """Whether a failure says that the provider is not well. Too many requests do not: it says
        itself for how long to wait."""
        if error.reason == Unavailability.RATE_LIMITED:
            return False
        if error.reason == Unavailability.TIMEOUT:
            return self._clock() - leave.begun >= TIMEOUT_COUNTS_SECONDS
        return True

    def _breaker(self, provider: str, model: str) -> Breaker:
        found = self._breakers.get((provider, model))
        if found is None:
            found = Breaker(self._retry.breaker, self._clock)
            self._breakers[provider, model] = found
        return found

    def _allowance(self, provider: str) -> Allowance:
        found = self._allowances.get(provider)
        if found is None:
            retry = self._retry
            found = Allowance(retry.budget_percent, retry.budget_retries_min, self._clock)
            self._allowances[provider] = found
        return found

    def _pace(self, provider: str, model: str, streams: bool) -> Pace:
        return self._paces.setdefault((provider, model, streams), Pace())


def _labels(provider: str, model: str) -> dict[str, str]:
    return {names.GEN_AI_PROVIDER: provider, names.GEN_AI_REQUEST_MODEL: model}
