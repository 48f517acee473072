"""From what the verbs give to the contract's messages."""

from google.rpc import status_pb2
from spendgate.tokenizer.v1 import tokenizer_service_pb2 as pb

from services.tokenizer.meter import Tally
from services.tokenizer.models import Model
from services.tokenizer.prepare import Segments


def count_of(model: Model, tally: Tally) -> pb.TokenCount:
    """A count with its method, vocabulary and bound."""
    exact = model.exact and not tally.estimated
    return pb.TokenCount(
        tokens=tally.tokens,
        method=pb.COUNT_METHOD_EXACT if exact else pb.COUNT_METHOD_ESTIMATED,
        encoding=model.encoding,
        error_bound_permille=tally.bound_permille,
    )


def prepared_of(model: Model, segments: Segments) -> pb.Prepared:
    """A measured prompt; the segments sum to the input."""
    return pb.Prepared(
        input=count_of(model, segments.total()),
        segments=pb.Segments(
            system_tokens=segments.system.tokens,
            tools_tokens=segments.tools.tokens,
            history_tokens=segments.history.tokens,
            new_tokens=segments.new.tokens,
            overhead_tokens=segments.overhead.tokens,
        ),
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
