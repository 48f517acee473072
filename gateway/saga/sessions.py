"""Which model answered a session last, and what its provider may still have in its cache.

In this process only and bounded: after a restart, or where another gateway answered, a session
counts as new, and routing chooses as if nothing were warm.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from spendgate.chat.v1 import chat_pb2

from gateway.saga.ask import Ask
from gateway.saga.summary import input_tokens

SESSIONS_MAX = 50_000
SESSION_SECONDS_MAX = 3_600.0
# Providers keep a prompt's beginning for about five minutes after its last use, from 1,024 tokens.
WARM_SECONDS_MAX = 300.0
WARM_TOKENS_MIN = 1_024

Place = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Last:
    """A session's last answer: its model, the tokens its provider read, when, and whether that
    provider has been seen to keep them (None: not known yet)."""

    model: str
    read_tokens: int
    seconds: float
    keeps: bool | None


class Sessions:
    """The last answer of each session, at most SESSIONS_MAX and SESSION_SECONDS_MAX old."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._last: OrderedDict[Place, Last] = OrderedDict()

    def warm(self, ask: Ask) -> tuple[str, int]:
        """The model that answered the session so far and the input tokens its provider is
        expected to have; ("", 0) for a new one."""
        last = self._known(ask)
        if last is None:
            return "", 0
        cold = self._clock() - last.seconds > WARM_SECONDS_MAX or last.keeps is False
        return last.model, 0 if cold else last.read_tokens

    def note(self, ask: Ask, model: str, usage: chat_pb2.TokenUsage) -> None:
        """A provider has answered in a session."""
        if not ask.attribution.session:
            return
        before, read = self._known(ask), input_tokens(usage)
        keeps = None
        if usage.cached_input_tokens or usage.cache_write_tokens or usage.cache_write_1h_tokens:
            keeps = True
        elif before is not None and before.model == model and self.warm(ask)[1]:
            # It was expected to have read from its cache and says that it did not.
            keeps = False
        elif before is not None and before.model == model:
            keeps = before.keeps
        warm = read if read >= WARM_TOKENS_MIN else 0
        self._last[_place(ask)] = Last(model, warm, self._clock(), keeps)
        self._last.move_to_end(_place(ask))
        while len(self._last) > SESSIONS_MAX:
            self._last.popitem(last=False)

    def _known(self, ask: Ask) -> Last | None:
        if not ask.attribution.session:
            return None
        last = self._last.get(_place(ask))
        if last is None or self._clock() - last.seconds > SESSION_SECONDS_MAX:
            return None
        return last


def _place(ask: Ask) -> Place:
    who = ask.attribution
    return who.tenant, who.project, who.user or who.key_id, who.session
