"""What came of a stream, as if it had come whole."""

from gateway.providers.join import AnswerJoiner
from gateway.providers.port import ProviderAnswer, ProviderEnd


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
