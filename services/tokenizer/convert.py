"""From what the verbs give to the contract's messages."""

from google.rpc import status_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from services.tokenizer.errors import truncation_invalid
from services.tokenizer.meter import Tally
from services.tokenizer.models import Model
from services.tokenizer.prepare import Segments
from services.tokenizer.texts.truncate import DEFAULT_MARKER, Boundary, Cut, Side, Wanted

_SIDES = {
    pb.TRUNCATE_SIDE_UNSPECIFIED: Side.HEAD,
    pb.TRUNCATE_SIDE_HEAD: Side.HEAD,
    pb.TRUNCATE_SIDE_TAIL: Side.TAIL,
    pb.TRUNCATE_SIDE_MIDDLE: Side.MIDDLE,
}
_BOUNDARIES = {
    pb.TRUNCATE_BOUNDARY_UNSPECIFIED: Boundary.NONE,
    pb.TRUNCATE_BOUNDARY_NONE: Boundary.NONE,
    pb.TRUNCATE_BOUNDARY_SENTENCE: Boundary.SENTENCE,
    pb.TRUNCATE_BOUNDARY_LINE: Boundary.LINE,
}


def count_of(model: Model, tally: Tally) -> pb.TokenCount:
    """A count with its method, vocabulary and bound."""
    exact = model.exact and not tally.estimated
    return pb.TokenCount(
        tokens=tally.tokens,
        method=pb.COUNT_METHOD_EXACT if exact else pb.COUNT_METHOD_ESTIMATED,
        encoding=model.encoding,
        error_bound_permille=tally.bound_permille,
    )


def segments_of(segments: Segments) -> pb.Segments:
    """Tokens by what they are for."""
    return pb.Segments(
        system_tokens=segments.system.tokens,
        tools_tokens=segments.tools.tokens,
        history_tokens=segments.history.tokens,
        new_tokens=segments.new.tokens,
        overhead_tokens=segments.overhead.tokens,
    )


def count_result(outcome: pb.TokenCount | status_pb2.Status) -> pb.CountResult:
    """One item's result."""
    if isinstance(outcome, pb.TokenCount):
        return pb.CountResult(count=outcome)
    return pb.CountResult(error=outcome)


def prepare_result(outcome: pb.Prepared | status_pb2.Status) -> pb.PrepareResult:
    """One item's result."""
    if isinstance(outcome, pb.Prepared):
        return pb.PrepareResult(prepared=outcome)
    return pb.PrepareResult(error=outcome)


def method_name(method: pb.CountMethod) -> str:
    """For spans: "exact" or "estimated"."""
    return "exact" if method == pb.COUNT_METHOD_EXACT else "estimated"


def truncation_of(item: pb.TruncateItem) -> Wanted:
    """What an item asks for. Raises InvalidFields (TRUNCATION_INVALID) for unknown values."""
    side, boundary = _SIDES.get(item.side), _BOUNDARIES.get(item.boundary)
    if side is None:
        raise truncation_invalid("side", "is not a known side")
    if boundary is None:
        raise truncation_invalid("boundary", "is not a known boundary")
    return Wanted(item.max_tokens, side, boundary, item.marker or DEFAULT_MARKER)


def truncated_of(model: Model, cut: Cut) -> pb.Truncated:
    """A cut text with both counts."""
    return pb.Truncated(
        text=cut.text,
        count=count_of(model, cut.after),
        original=count_of(model, cut.before),
        head_chars=cut.head_chars,
        tail_chars=cut.tail_chars,
    )


def truncate_result(outcome: pb.Truncated | status_pb2.Status) -> pb.TruncateResult:
    """One item's result."""
    if isinstance(outcome, pb.Truncated):
        return pb.TruncateResult(truncated=outcome)
    return pb.TruncateResult(error=outcome)
