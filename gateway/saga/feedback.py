"""What a caller hands back to say how an answer was. It holds names, no text and no secret."""

import base64
import binascii

from google.protobuf.message import DecodeError
from spendgate.cache.v1 import cache_service_pb2 as cache_pb

from chassis.errors import FieldViolation, InvalidFields
from gateway.door import Identity
from gateway.saga.ask import Ask

FEEDBACK_TOKEN_BYTES_MAX = 2_048
HITS = frozenset({cache_pb.OUTCOME_EXACT, cache_pb.OUTCOME_SEMANTIC})


def feedback_token(ask: Ask) -> str:
    """What a caller hands back to say how a hit was; "" when there was none."""
    finding = ask.finding
    if finding.outcome not in HITS or not finding.entry_key:
        return ""
    report = cache_pb.ReportWrongHitRequest(
        scope=ask.scope,
        entry_key=finding.entry_key,
        key=finding.key,
        feature=ask.attribution.feature,
    )
    return base64.urlsafe_b64encode(report.SerializeToString()).rstrip(b"=").decode()


def read_feedback_token(token: str, identity: Identity) -> cache_pb.ReportWrongHitRequest:
    """What feedback_token() was made of. Raises InvalidFields for anything else, and for a hit of
    another tenant, or of a project or user that the key is not for."""
    report = cache_pb.ReportWrongHitRequest()
    good = 0 < len(token) <= FEEDBACK_TOKEN_BYTES_MAX and token.isascii()
    try:
        if good:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            report.ParseFromString(raw)
    except (binascii.Error, DecodeError, ValueError):
        good = False
    scope = report.scope
    good = good and scope.tenant == identity.tenant
    good = good and (not identity.project or scope.project in {"", identity.project})
    good = good and (not identity.user or scope.user in {"", identity.user})
    if not good:
        wanted = "is no Summary.feedback_token of this key's"
        raise InvalidFields("REQUEST_INVALID", FieldViolation("feedback_token", wanted))
    return report
