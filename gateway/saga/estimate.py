"""What a request would cost: counted and routed like one, then left at that."""

import dataclasses
from collections.abc import Callable
from datetime import datetime

from spendgate.gateway.v1 import estimate_pb2 as estimate_pb
from spendgate.gateway.v1 import gateway_service_pb2 as pb
from spendgate.router.v1 import router_service_pb2 as router_pb
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as tokenizer_pb

from catalog.fleet import Fleet
from catalog.price import ModelPrice, cost_nanos
from catalog.prices import UnknownModel, Unpriced
from catalog.usage import Usage
from chassis.deadline import Deadline
from chassis.errors import RemoteError, StatusError
from gateway.door import Identity
from gateway.errors import ModelUnpriced
from gateway.limits.limits import Limits
from gateway.saga.ask import Ask
from gateway.saga.entry import Entry
from gateway.saga.steps import Steps

# Nothing that the router says here is worth failing an estimate for.
_NO_CHEAPEST = frozenset({"NO_CANDIDATE", "MODEL_UNPRICED"})


class Estimator:
    """Prices requests."""

    def __init__(
        self,
        entry: Entry,
        steps: Steps,
        limits: Limits,
        fleet: Fleet,
        now: Callable[[], datetime],
    ) -> None:
        """`now` gives the time in UTC, for prices."""
        self._entry = entry
        self._steps = steps
        self._limits = limits
        self._fleet = fleet
        self._now = now

    async def estimate(
        self,
        request: estimate_pb.EstimateRequest,
        identity: Identity,
        traceparent: str,
        deadline: Deadline,
    ) -> estimate_pb.EstimateResponse:
        """Raises what a request raises before it is paid for; ModelUnpriced."""
        wanted = pb.CompleteRequest(model=request.model, prompt=request.prompt)
        wanted.options.CopyFrom(request.options)
        wanted.options.cache_mode = pb.CACHE_MODE_OFF
        async with (
            self._entry.admitted(wanted, identity, traceparent, deadline) as ask,
            self._limits.at_door(ask),
        ):
            ask.span.update_name(f"estimate {request.model}")
            await self._steps.prepare_and_look_up(ask)
            await self._steps.route(ask)
            cheapest = await self._cheapest(ask)
            ask.place.measured()
            count = ask.prepared.input
            exact = count.method == tokenizer_pb.COUNT_METHOD_EXACT
            return estimate_pb.EstimateResponse(
                input_tokens=count.tokens,
                input_exact=exact,
                input_error_permille=0 if exact else count.error_bound_permille,
                routed=self._cost(ask, ask.decision.chosen),
                cheapest=cheapest,
                route_explanation=ask.decision.explanation,
            )

    async def _cheapest(self, ask: Ask) -> estimate_pb.EstimatedCost | None:
        """The cheapest model that can; None when there is none that has a price."""
        other = dataclasses.replace(ask, downgraded=True, decision=router_pb.Decision())
        try:
            await self._steps.route(other)
            return self._cost(other, other.decision.chosen)
        except ModelUnpriced:
            return None
        except StatusError as error:
            if RemoteError(error.status).reason in _NO_CHEAPEST:
                return None
            raise

    def _cost(self, ask: Ask, candidate: router_pb.Candidate) -> estimate_pb.EstimatedCost:
        try:
            price = self._fleet.book.price(candidate.model, self._now())
        except (UnknownModel, Unpriced):
            raise ModelUnpriced(candidate.model) from None
        choices = ask.prompt.sampling.choice_count or 1
        least = (ask.prepared.input.tokens, choices)
        most = (
            self._steps.input_tokens_at_most(ask, candidate.model),
            candidate.output_tokens_max * choices,
        )
        return estimate_pb.EstimatedCost(
            model=candidate.model,
            provider=candidate.provider,
            price_version=price.version,
            output_tokens_max=candidate.output_tokens_max,
            cost_min_nanos=_fresh(price, *least),
            cost_max_nanos=_fresh(price, *most),
            cached_cost_min_nanos=_cached(price, *least),
            cached_cost_max_nanos=_cached(price, *most),
        )


def _fresh(price: ModelPrice, input_tokens: int, output_tokens: int) -> int:
    return cost_nanos(price, Usage(input_tokens=input_tokens, output_tokens=output_tokens))


def _cached(price: ModelPrice, input_tokens: int, output_tokens: int) -> int:
    """All of the prompt from the provider's cache, where that is cheaper."""
    usage = Usage(cached_input_tokens=input_tokens, output_tokens=output_tokens)
    return min(cost_nanos(price, usage), _fresh(price, input_tokens, output_tokens))
