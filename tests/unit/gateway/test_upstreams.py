"""What is remembered of providers: breakers, the allowance for retries, how long calls take."""

import pytest

from catalog.resilience import BreakerConfig, RetryConfig
from gateway.providers.port import Billed, ProviderRefused, ProviderUnavailable, Unavailability
from gateway.upstreams.allowance import Allowance
from gateway.upstreams.breaker import Breaker, State
from gateway.upstreams.pace import Pace
from gateway.upstreams.upstreams import Upstreams

RULES = BreakerConfig(
    calls_min=4, failure_percent=50, window_seconds=10, open_seconds=2, open_seconds_max=5
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(RULES, clock)


def fail(breaker, times=1):
    for _ in range(times):
        breaker.failed(breaker.permit())


def opened(breaker):
    fail(breaker, 4)
    assert breaker.state is State.OPEN
    return breaker


def test_few_failures_conclude_nothing(breaker):
    """Fewer calls than calls_min open nothing, all of them failed or not."""
    fail(breaker, 3)
    assert breaker.state is State.CLOSED


def test_a_share_of_failures_opens(breaker):
    """Half of the calls failed: no further call passes."""
    for _ in range(3):
        breaker.succeeded(breaker.permit())
    fail(breaker, 2)
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN
    assert breaker.permit() is None


def test_old_failures_are_forgotten(breaker, clock):
    """What is older than the window counts no more."""
    fail(breaker, 3)
    clock.now += RULES.window_seconds + 1
    fail(breaker, 1)
    assert breaker.state is State.CLOSED


def test_one_probe_at_a_time_closes_it(breaker, clock):
    """After its time one call passes; when that is well, all do."""
    opened(breaker)
    clock.now += RULES.open_seconds
    probe = breaker.permit()
    assert probe.probe
    assert breaker.state is State.HALF_OPEN
    assert breaker.permit() is None
    breaker.succeeded(probe)
    assert breaker.state is State.CLOSED
    assert not breaker.permit().probe


def test_a_probe_that_fails_opens_for_longer(breaker, clock):
    """Doubled each time, up to open_seconds_max."""
    opened(breaker)
    for seconds in (4, 5, 5):
        clock.now += breaker.left_seconds()
        breaker.failed(breaker.permit())
        assert breaker.left_seconds() == pytest.approx(seconds)


def test_a_probe_given_up_lets_the_next_through(breaker, clock):
    """A caller that goes away must not keep the model out for ever."""
    opened(breaker)
    clock.now += RULES.open_seconds
    breaker.undecided(breaker.permit())
    assert breaker.permit().probe


def test_late_ends_of_calls_begun_before_change_nothing(breaker, clock):
    """Calls that were under way when it opened are no probes."""
    early = breaker.permit()
    opened(breaker)
    breaker.succeeded(early)
    assert breaker.state is State.OPEN


def test_retries_are_a_share_of_the_traffic(clock):
    """10 %: after what may come at once, one retry for ten calls."""
    allowance = Allowance(10, 2, clock)
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    taken = 0
    for _ in range(200):
        allowance.called()
        taken += allowance.take()
    assert 19 <= taken <= 20


def test_quiet_traffic_gets_its_retries_back(clock):
    """One a second, up to what may come at once."""
    allowance = Allowance(10, 2, clock)
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    clock.now += 60
    assert [allowance.take() for _ in range(3)] == [True, True, False]


def test_the_pace_of_a_model():
    """Nothing before enough calls were seen; then their percentile."""
    pace = Pace()
    for n in range(1, 20):
        pace.note(n / 10)
    assert pace.percentile(95, 20) is None
    pace.note(2.0)
    assert pace.percentile(95, 20) == pytest.approx(2.0)
    assert pace.percentile(50, 20) == pytest.approx(1.1)


def _timeout():
    return ProviderUnavailable("p", Unavailability.TIMEOUT, billed=Billed.UNKNOWN)


def test_callers_with_tiny_deadlines_open_nothing(clock):
    """A time-out counts when the call had time; else any caller could shut a model for all."""
    upstreams = Upstreams(RetryConfig(breaker=RULES), clock)
    for _ in range(10):
        leave = upstreams.leave("p", "m", streams=False)
        clock.now += 0.05
        assert not upstreams.ended(leave, _timeout())
    for _ in range(4):
        leave = upstreams.leave("p", "m", streams=False)
        clock.now += 11
        opened_now = upstreams.ended(leave, _timeout())
    assert not opened_now  # the window forgot the first of them
    quick = Upstreams(RetryConfig(breaker=RULES.model_copy(update={"window_seconds": 99})), clock)
    for _ in range(4):
        leave = quick.leave("p", "m", streams=False)
        clock.now += 11
        opened_now = quick.ended(leave, _timeout())
    assert opened_now


def test_refusals_and_rate_limits_open_nothing(clock):
    """The provider works; it says itself for how long to wait."""
    upstreams = Upstreams(RetryConfig(breaker=RULES), clock)
    busy = ProviderUnavailable("p", Unavailability.RATE_LIMITED, billed=Billed.NO)
    for error in [ProviderRefused("p", http_status=400), busy] * 10:
        upstreams.ended(upstreams.leave("p", "m", streams=False), error)
    assert upstreams.leave("p", "m", streams=False) is not None


def test_other_rules_hold_from_now_on(clock):
    """A new fleet file may switch breakers off while one is open."""
    upstreams = Upstreams(RetryConfig(breaker=RULES), clock)
    down = ProviderUnavailable("p", Unavailability.SERVER_ERROR, billed=Billed.NO)
    for _ in range(4):
        upstreams.ended(upstreams.leave("p", "m", streams=False), down)
    assert upstreams.leave("p", "m", streams=False) is None
    upstreams.take_over(RetryConfig(breaker=BreakerConfig(enabled=False)))
    assert upstreams.leave("p", "m", streams=False) is not None
