"""The breaker around the store."""

from services.cache.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _open_breaker(clock: Clock) -> Breaker:
    breaker = Breaker(clock, failures_max=3, open_seconds=1.0)
    for _ in range(3):
        assert breaker.admits()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """The third failure in a row stops calls; two with a success between do not."""
    clock = Clock()
    breaker = Breaker(clock, failures_max=3, open_seconds=1.0)
    for came_back in (False, False, True, False, False):
        assert breaker.admits()
        breaker.succeeded() if came_back else breaker.failed()
    assert breaker.closed
    breaker.failed()
    assert not breaker.closed
    assert not breaker.admits()


def test_after_a_while_one_trial_goes_through() -> None:
    """When its time is up, exactly one call is let through until that one has ended."""
    clock = Clock()
    breaker = _open_breaker(clock)
    clock.now = 0.99
    assert not breaker.admits()
    clock.now = 1.0
    assert breaker.admits()
    assert not breaker.admits()


def test_a_trial_that_succeeds_closes_it() -> None:
    """One good call is enough to go on as before."""
    clock = Clock()
    breaker = _open_breaker(clock)
    clock.now = 1.0
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.closed
    assert breaker.admits()


def test_a_trial_that_fails_opens_it_for_another_while() -> None:
    """A failed trial starts the wait anew, at once and not after three more failures."""
    clock = Clock()
    breaker = _open_breaker(clock)
    clock.now = 1.0
    assert breaker.admits()
    breaker.failed()
    clock.now = 1.9
    assert not breaker.admits()
    clock.now = 2.0
    assert breaker.admits()


def test_a_trial_that_is_abandoned_lets_another_one_go() -> None:
    """A caller that is cancelled during the trial does not lock the breaker for ever."""
    clock = Clock()
    breaker = _open_breaker(clock)
    clock.now = 1.0
    assert breaker.admits()
    breaker.abandoned()
    assert not breaker.closed
    assert breaker.admits()
