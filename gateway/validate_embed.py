"""What the door itself checks of a request for embeddings, beside what it checks of every one."""

from collections.abc import Iterator

from spendgate.gateway.v1 import embed_pb2
from spendgate.gateway.v1 import gateway_service_pb2 as pb

from catalog.fleet import Fleet
from catalog.prices import UnknownModel
from catalog.schema import is_automatic
from chassis.errors import FieldViolation, InvalidFields
from gateway.openai.read import object_from

INPUTS_MAX = 2_048
TOKENS_MAX = 131_072
DIMENSIONS_MAX = 65_536
# Of one message, less room for the rest of it.
REPLY_BYTES_MAX = 15 * 2**20
_BYTES_A_NUMBER = 4
# They have fields of their own.
_KNOWN = frozenset({"model", "input", "dimensions", "encoding_format"})
_REASON = "REQUEST_INVALID"


def check_embed(request: pb.EmbedRequest, bytes_max: int) -> None:
    """Raises: InvalidFields with every violation; none quotes what was sent."""
    # First and alone: what is too large is not looked at any further.
    if request.ByteSize() > bytes_max:
        raise InvalidFields(_REASON, FieldViolation("inputs", f"take at most {bytes_max} bytes"))
    if not 1 <= len(request.inputs) <= INPUTS_MAX:
        wanted = f"takes 1 to {INPUTS_MAX} texts, got {len(request.inputs)}"
        raise InvalidFields(_REASON, FieldViolation("inputs", wanted))
    violations = [
        violation
        for place, each in enumerate(request.inputs)
        for violation in _of_input(f"inputs[{place}]", each)
    ]
    if request.HasField("dimensions") and not 1 <= request.dimensions <= DIMENSIONS_MAX:
        violations.append(FieldViolation("dimensions", f"is between 1 and {DIMENSIONS_MAX}"))
    if request.encoding not in embed_pb2.VectorEncoding.values():
        violations.append(FieldViolation("encoding", "is not one this gateway knows"))
    violations += _of_extra(request.extra_json)
    if violations:
        raise InvalidFields(_REASON, *violations)


def check_reply(request: pb.EmbedRequest) -> None:
    """Raises: InvalidFields for vectors that one gRPC message cannot bring, as far as is told."""
    size = len(request.inputs) * request.dimensions * _BYTES_A_NUMBER
    if size > REPLY_BYTES_MAX:
        wanted = f"come to {size} bytes of vectors, at most {REPLY_BYTES_MAX}: send fewer at a time"
        raise InvalidFields(_REASON, FieldViolation("inputs", wanted))


def check_task(fleet: Fleet, model: str, *, embeds: bool) -> None:
    """Raises: InvalidFields where a model is asked for what it does not do."""
    if is_automatic(model):
        if embeds:
            what = "vectors of two models do not compare: name an embedding model"
            raise InvalidFields(_REASON, FieldViolation("model", what))
        return
    try:
        card = fleet.models.card(model)
    except UnknownModel:
        return  # The router says so, with the nearest name.
    if card.embeds != embeds:
        what = "makes no embeddings" if embeds else "makes embeddings only; it has no answers"
        raise InvalidFields(_REASON, FieldViolation("model", what))


def _of_input(path: str, each: embed_pb2.EmbedInput) -> Iterator[FieldViolation]:
    ids = each.tokens.ids
    if each.WhichOneof("input") == "tokens":
        if not 1 <= len(ids) <= TOKENS_MAX:
            yield FieldViolation(f"{path}.tokens", f"takes 1 to {TOKENS_MAX}, got {len(ids)}")
        elif min(ids) < 0:
            yield FieldViolation(f"{path}.tokens", "must not be below 0")
    elif not each.text:
        yield FieldViolation(path, "must not be empty")


def _of_extra(text: str) -> Iterator[FieldViolation]:
    try:
        extra = object_from(text, "extra_json")
    except InvalidFields as error:
        yield from error.violations
        return
    for name in sorted(_KNOWN & extra.keys()):
        yield FieldViolation("extra_json", f"holds {name}, which has a field of its own")
