"""Tells the router how calls ended, so that its policies can learn; nobody waits for it."""

from collections.abc import Iterable
from typing import Final

from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import entry_pb2
from spendgate.router.v1 import router_service_pb2 as router_pb

from catalog.routing import RoutingConfig, RoutingPolicy
from chassis.deadline import Deadline
from gateway.ports import Services
from gateway.providers.port import Unavailability
from gateway.saga.ask import Ask
from gateway.saga.books import Books

REPORT_SECONDS_MAX = 2.0
# What the router reads of a prompt: the newest user text, a system text before it.
TEXT_BYTES_MAX: Final = 65_536

_STATUSES = {
    Unavailability.RATE_LIMITED.value: router_pb.CALL_STATUS_RATE_LIMITED,
    Unavailability.TIMEOUT.value: router_pb.CALL_STATUS_TIMEOUT,
}


class Outcomes:
    """Which requests the router learns from, and what it is told of them."""

    def __init__(self, services: Services, books: Books, routing: RoutingConfig) -> None:
        self._services = services
        self._books = books
        self._routing = routing

    def learns_from(self, ask: Ask) -> bool:
        """Whether a policy that predicts or measures decides on this request."""
        policy = self._routing.policy_for(ask.attribution.feature, ask.policy_word)
        return ask.automatic and (
            policy.policy is not RoutingPolicy.CHEAPEST_CAPABLE
            or policy.escalation is not None
            or self._routing.learning.shadow_percent > 0
        )

    def rations(self, ask: Ask) -> bool:
        """Whether the use of the caller's budget decides on this request."""
        policy = self._routing.policy_for(ask.attribution.feature, ask.policy_word).policy
        return ask.automatic and policy is RoutingPolicy.BUDGET

    def checked(self, ask: Ask, model: str, *, stood: bool) -> None:
        """Whether an answer of a plan stood its checks."""
        score = 1.0 if stood else 0.0
        self._score(ask, model, router_pb.OUTCOME_SOURCE_VALIDATOR, score)

    def compared(self, ask: Ask, model: str, score: float) -> None:
        """How an answer compares with the shadow model's."""
        self._score(ask, model, router_pb.OUTCOME_SOURCE_SHADOW, score)

    def _score(self, ask: Ask, model: str, source: router_pb.OutcomeSource, score: float) -> None:
        outcome = router_pb.Outcome(
            traceparent=ask.traceparent,
            tenant=ask.attribution.tenant,
            request_id=ask.request_id,
            model=model,
            source=source,
            score=score,
        )
        self._books.spawn(self._report(outcome))

    def tell(self, ask: Ask, attempts: Iterable[entry_pb2.Attempt]) -> None:
        """How each attempt ended, by its number where several called the same model."""
        if not self.learns_from(ask):
            return
        told = {attempt.model_used: attempt for attempt in attempts}
        for attempt in told.values():
            self._books.spawn(self._report(_outcome(ask, attempt)))

    async def _report(self, outcome: router_pb.Outcome) -> None:
        await self._services.report_outcome(outcome, Deadline.after(REPORT_SECONDS_MAX))


def routing_text(prompt: chat_pb2.Prompt) -> str:
    """What the router may predict from. It keeps none of it."""
    users = (m for m in reversed(prompt.messages) if m.role == chat_pb2.ROLE_USER)
    instructions = (chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER)
    systems = (m for m in prompt.messages if m.role in instructions)
    texts = [_text(message) for message in (next(systems, None), next(users, None)) if message]
    # The newest text says most: where both are too long, the beginning gives way.
    whole = "\n".join(texts).encode()[-TEXT_BYTES_MAX:]
    return whole.decode(errors="ignore")


def _text(message: chat_pb2.Message) -> str:
    return message.content or "\n".join(part.text for part in message.parts if part.text)


def _outcome(ask: Ask, attempt: entry_pb2.Attempt) -> router_pb.Outcome:
    usage = attempt.usage
    status = router_pb.CALL_STATUS_OK
    if attempt.outcome != entry_pb2.ATTEMPT_OUTCOME_OK:
        status = _STATUSES.get(attempt.error_reason, router_pb.CALL_STATUS_ERROR)
    cached = usage.cached_input_tokens
    return router_pb.Outcome(
        traceparent=ask.traceparent,
        tenant=ask.attribution.tenant,
        request_id=ask.request_id,
        model=attempt.model_used,
        source=router_pb.OUTCOME_SOURCE_CALL,
        status=status,
        latency_ms=attempt.latency_ms,
        input_tokens=usage.input_tokens
        + cached
        + usage.cache_write_tokens
        + usage.cache_write_1h_tokens,
        cached_input_tokens=cached,
        output_tokens=usage.output_tokens + usage.reasoning_tokens,
    )
