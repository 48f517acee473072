"""Answers as they are told: in pieces, or what came in pieces as if it had come whole."""

from collections.abc import Iterable, Iterator

from spendgate.gateway.v1 import gateway_service_pb2 as pb

from gateway.providers.join import AnswerJoiner
from gateway.providers.port import ProviderAnswer, ProviderEnd
from gateway.saga import tally
from gateway.saga.answers import Answer
from gateway.saga.ask import Ask
from gateway.saga.summary import Outcome, note_on_span, summary_of


def whole(so_far: AnswerJoiner, end: ProviderEnd) -> ProviderAnswer:
    """All of an answer that came to its end."""
    return ProviderAnswer(
        choices=so_far.choices(),
        usage=end.usage,
        usage_impossible=end.usage_impossible,
        response_model=end.response_model,
        response_id=end.response_id,
        service_tier=end.service_tier,
        told=end.told,
        warnings=end.warnings,
    )


def cut(so_far: AnswerJoiner) -> ProviderAnswer:
    """What was written until the hold was used up; what it took is counted."""
    return ProviderAnswer(
        choices=so_far.choices(),
        usage=None,
        usage_impossible=False,
        response_model="",
        response_id="",
        service_tier="",
    )


def tell(ask: Ask, outcome: Outcome) -> None:
    """Notes on the span and in the metrics what came of the request."""
    note_on_span(ask, outcome)
    tally.answered(ask, outcome)


def said(
    ask: Ask, answer: Answer, deltas: Iterable[pb.Delta]
) -> Iterator[pb.StreamCompleteResponse]:
    """What is left to say of an answer that stands: its pieces, then the summary."""
    tell(ask, answer.outcome)
    for delta in deltas:
        yield pb.StreamCompleteResponse(delta=delta)
    yield pb.StreamCompleteResponse(summary=summary_of(ask, answer.outcome))
