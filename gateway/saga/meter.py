"""Meters a stream as it flows: it is cut when the money held for it is used up.

Text is counted by the tokenizer, but seldom: no text has more tokens than bytes, so after a count
that left room for n tokens nothing can be used up before n more bytes have come. An answer of a
usual length is never counted.
"""

from datetime import datetime

from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.fleet import Fleet
from catalog.price import PICOS_PER_NANO, cost_nanos
from catalog.prices import UnknownModel, Unpriced
from catalog.usage import Usage
from chassis.deadline import Deadline
from gateway.ports import Services
from gateway.saga.ask import Ask
from gateway.saga.counted import counted_as
from gateway.saga.line import Try

# Between two counts, however little is left.
STEP_BYTES_MIN = 256
COUNT_SECONDS_MAX = 1.0
PERMILLE = 1000


class Meter:
    """Of one stream. `allowed_tokens` None: nothing tells what it may use, and nothing is cut."""

    def __init__(
        self, services: Services, ask: Ask, fleet: Fleet, attempt: Try, allowed_tokens: int | None
    ) -> None:
        self._services = services
        self._ask = ask
        self._counted = counted_as(fleet, attempt.candidate.model)
        self._allowed = allowed_tokens
        self._texts: list[str] = []
        self._bytes = 0
        self._look_at = allowed_tokens or 0

    async def used_up(self, delta: pb.Delta) -> bool:
        """Takes a piece that came. True: what is held does not pay for more."""
        if self._allowed is None:
            return False
        for text in _texts(delta):
            self._texts.append(text)
            self._bytes += len(text.encode())
        if self._bytes <= self._look_at:
            return False
        whole = "".join(self._texts)
        self._texts = [whole]
        item = tokenizer_pb.CountItem(
            traceparent=self._ask.traceparent,
            model=self._counted.model,
            encoding=self._counted.encoding,
            text=whole,
        )
        try:
            tokens = await self._services.count(item, Deadline.after(COUNT_SECONDS_MAX))
        except Exception:
            # Nobody can count now: what is certain is asked again a little later.
            self._look_at = self._bytes + STEP_BYTES_MIN
            return False
        # Of an estimate, only what is certain is held against the answer.
        bound = self._ask.prepared.input.error_bound_permille
        certain = tokens * PERMILLE // (PERMILLE + bound)
        self._look_at = self._bytes + max(STEP_BYTES_MIN, self._allowed - certain)
        return certain > self._allowed


def allowed_tokens(
    fleet: Fleet, ask: Ask, attempt: Try, held_nanos: int, now: datetime
) -> int | None:
    """Output tokens that `held_nanos` pay for beside the prompt as counted; at least the limit that
    the provider was asked to keep. None: nothing can be told. `now` is aware, for prices."""
    candidate = attempt.candidate
    try:
        price = fleet.book.price(candidate.model, now)
    except (UnknownModel, Unpriced):
        return None
    read = Usage(input_tokens=ask.prepared.input.tokens)
    output_picos = price.rates_at(read.read_tokens).output_picos
    if held_nanos <= 0 or output_picos <= 0:
        return None
    # Of a pair of calls at once, each has its half.
    own_nanos = held_nanos // 2 if ask.hedged else held_nanos
    left_picos = (own_nanos - cost_nanos(price, read)) * PICOS_PER_NANO
    return max(left_picos // output_picos, candidate.output_tokens_max)


def _texts(delta: pb.Delta) -> list[str]:
    calls = [text for call in delta.tool_calls for text in (call.name, call.arguments_json)]
    return [text for text in (delta.content, delta.refusal, *calls) if text]
