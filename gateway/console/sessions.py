"""Who is signed in to the console, and who tried too often.

A session is in this process only. Its name, which the browser holds, is kept as a hash; its key is
asked for again on every use, so that a disabled key ends its sessions.
"""

import hashlib
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.door import Identity

SESSIONS_MAX = 1_000
FAILURES_A_MINUTE_MAX = 10
# Over all addresses: behind a proxy they may all look alike, or be many.
FAILURES_A_MINUTE_ALL_MAX = 100
ADDRESSES_MAX = 1_000
_MINUTE_SECONDS = 60.0


class SignInRequired(Exception):
    """No session of this name, or it has ended."""


class TooManyTries(Exception):
    """Too many wrong keys within a minute."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"{retry_seconds}")
        self.retry_seconds = retry_seconds


@dataclass(slots=True)
class Session:
    """Somebody who is signed in. `secret` is the key, as it was typed."""

    identity: Identity
    secret: str
    begun: float
    used: float


class Sessions:
    """Sessions by the hash of their names."""

    def __init__(
        self,
        *,
        seconds_max: float,
        idle_seconds_max: float,
        clock: Callable[[], float],
        new_name: Callable[[], str],
    ) -> None:
        """`clock` is monotonic seconds; `new_name` must not be guessable."""
        self._seconds_max = seconds_max
        self._idle_seconds_max = idle_seconds_max
        self._clock = clock
        self._new_name = new_name
        self._known: OrderedDict[bytes, Session] = OrderedDict()

    def open(self, secret: str, identity: Identity) -> str:
        """The name of a new session. The oldest goes when there are too many."""
        name, now = self._new_name(), self._clock()
        self._known[_hash(name)] = Session(identity, secret, now, now)
        while len(self._known) > SESSIONS_MAX:
            self._known.popitem(last=False)
        return name

    def use(self, name: str) -> Session:
        """The session of this name, used now. Raises: SignInRequired."""
        digest, now = _hash(name), self._clock()
        session = self._known.get(digest)
        if session is None:
            raise SignInRequired
        over = now - session.begun >= self._seconds_max
        if over or now - session.used >= self._idle_seconds_max:
            del self._known[digest]
            raise SignInRequired
        session.used = now
        return session

    def close(self, name: str) -> None:
        """Ends a session, if there is one."""
        self._known.pop(_hash(name), None)


class Tries:
    """Counts wrong keys of the last minute, by address and in all."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._all: deque[float] = deque()
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises: TooManyTries."""
        own = self._by_address.get(address, deque())
        for times, count_max in (
            (own, FAILURES_A_MINUTE_MAX),
            (self._all, FAILURES_A_MINUTE_ALL_MAX),
        ):
            self._forget_old(times)
            if len(times) >= count_max:
                raise TooManyTries(math.ceil(times[0] + _MINUTE_SECONDS - self._clock()))

    def failed(self, address: str) -> None:
        """Notes a wrong key."""
        now = self._clock()
        self._all.append(now)
        self._by_address.setdefault(address, deque()).append(now)
        self._by_address.move_to_end(address)
        while len(self._by_address) > ADDRESSES_MAX:
            self._by_address.popitem(last=False)

    def _forget_old(self, times: deque[float]) -> None:
        while times and times[0] <= self._clock() - _MINUTE_SECONDS:
            times.popleft()


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
