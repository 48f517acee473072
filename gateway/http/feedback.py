"""What a caller says of an answer, as JSON."""

import orjson
from spendgate.gateway.v1 import gateway_service_pb2 as gateway_pb2

from gateway.openai.read import Fields, invalid

_VERDICTS = {
    "good": gateway_pb2.VERDICT_GOOD,
    "bad": gateway_pb2.VERDICT_BAD,
    "stale": gateway_pb2.VERDICT_STALE,
}


def read_feedback(body: bytes) -> gateway_pb2.SubmitFeedbackRequest:
    """`{"feedback_token": ..., "verdict": "good" | "bad" | "stale"}`. Raises InvalidFields."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise invalid("body", "is no JSON in UTF-8") from None
    fields = Fields(value, "")
    request = gateway_pb2.SubmitFeedbackRequest(
        feedback_token=fields.required_text("feedback_token")
    )
    word = fields.required_text("verdict")
    if word not in _VERDICTS:
        raise invalid("verdict", f"must be one of: {', '.join(_VERDICTS)}")
    if unknown := fields.rest():
        raise invalid(sorted(unknown)[0], "is not known here")
    request.verdict = _VERDICTS[word]
    return request
